"""Fixtures: the scenes. It takes a second to paint their places."""

import pytest

from fia.testbed.scenes import Scenes


@pytest.fixture(scope="session")
def scenes() -> Scenes:
    return Scenes()
