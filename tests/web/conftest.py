"""Fixtures: a server that offers a tiny model, and a page that talks to it."""

import threading
from collections.abc import Callable, Iterator

import pytest
from api_page import Page
from fastapi.testclient import TestClient
from tiny_pipelines import tiny_sd

from fia import Settings
from fia.drawing.images import Drawing
from fia.web.app import create_app
from fia.web.offers import Offer

FAST = Settings(retained_words=0, prompts_per_concept=2, num_inference_steps=4, saliency_steps=2, spatial_ratio=0.05)


@pytest.fixture
def offer() -> Offer:
    """A tiny model that is already loaded."""
    return Offer("no such folder", "tiny", FAST, Drawing(2, 4.0, 4), pipe=tiny_sd())


@pytest.fixture
def client(offer: Offer) -> Iterator[TestClient]:
    """The server, as its own page sees it."""
    with TestClient(create_app([offer]), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def page(client: TestClient) -> Page:
    """An open page."""
    return Page(client)


@pytest.fixture
def gate(offer: Offer) -> Iterator[Callable[[], None]]:
    """Stops the tiny model's denoiser at its next step, until the test calls the returned function."""
    opened = threading.Event()

    def wait(*_: object) -> None:
        assert opened.wait(30)

    assert offer.pipe is not None
    handle = offer.pipe.unet.register_forward_pre_hook(wait)
    yield opened.set
    opened.set()
    handle.remove()
