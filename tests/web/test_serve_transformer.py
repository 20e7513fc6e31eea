"""A model that is no U-Net on the page, and a single file."""

import pytest
from api_page import Page
from fastapi.testclient import TestClient
from tiny_transformers import tiny_sd3

from fia import Settings
from fia.drawing.images import Drawing
from fia.loading import Runtime
from fia.web.app import create_app
from fia.web.offers import Offer

FAST = Settings(retained_words=0, prompts_per_concept=2, num_inference_steps=4, saliency_steps=2, spatial_ratio=0.05)


def test_a_transformer_is_searched_and_drawn():
    offer = Offer("no such folder", "tiny", FAST, Drawing(2, 4.0, 4), pipe=tiny_sd3())
    with TestClient(create_app([offer]), base_url="http://127.0.0.1:8000") as client:
        page = Page(client)
        found = page.found("church")
        assert found["layers"][0]["name"].startswith("transformer_blocks.0.")
        assert page.ended(page.draw(strengths={"church": 1.0}).json()["job"])["state"] == "done"


@pytest.mark.parametrize("is_file", [True, False])
def test_a_single_file_is_loaded_with_its_configs_and_nothing_else_is(tmp_path, monkeypatch, is_file):
    model = tmp_path / "model.safetensors"
    if is_file:
        model.touch()
    loaded, pipe = [], tiny_sd3()
    monkeypatch.setattr(Runtime, "load", lambda runtime, name: loaded.append((name, runtime.config)) or pipe)
    Offer(str(model), "tiny", FAST, Drawing(2, 4.0, 4)).load(Runtime(config="configs"))
    assert loaded == [(str(model), "configs" if is_file else None)]
