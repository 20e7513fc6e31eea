"""Fixtures: the scenes, whose places take a second to draw."""

import pytest

from fia.testbed.scenes import Scenes


@pytest.fixture(scope="session")
def scenes() -> Scenes:
    return Scenes()
