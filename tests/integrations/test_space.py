"""The Space's folder: the Hub can read it, and its page answers under the Space's name, inside the Hub's page."""

import runpy
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from huggingface_hub import SpaceCard

from fia.web import app as web

SPACE = Path(__file__).parent.parent.parent / "integrations" / "space"
HOST = "somebody-forget-it-all.hf.space"


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("SPACE_HOST", HOST)
    monkeypatch.setattr(web.Server, "warm_up", lambda *_: None)  # the embedded model is not needed here
    app = runpy.run_path(str(SPACE / "app.py"))["make_app"]()
    with TestClient(app, base_url=f"https://{HOST}") as client:
        yield client


def test_the_hub_can_read_the_front_matter():
    data = SpaceCard.load(SPACE / "README.md").data
    assert (data.sdk, data.license) == ("docker", "apache-2.0")
    assert data.to_dict()["app_port"] == runpy.run_path(str(SPACE / "app.py"))["PORT"]
    assert len(data.to_dict()["short_description"]) <= 60  # the Hub takes no more


def test_the_container_starts_the_app_with_what_it_needs():
    lines = (SPACE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == 'CMD ["python", "app.py"]'
    assert any("requirements.txt" in line for line in lines)
    assert (SPACE / "requirements.txt").read_text(encoding="utf-8").startswith("forget-it-all[serve]")


def test_the_page_answers_under_the_name_of_the_space_only(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "Forget" in page.text
    assert client.get("/", headers={"host": "elsewhere.example"}).status_code == 421


def test_only_the_hubs_page_may_show_it_in_a_frame(client):
    for address in ("/", "/api/models", "/api/nothing"):
        policy = client.get(address).headers["content-security-policy"]
        assert "frame-ancestors https://huggingface.co" in policy
        assert "default-src 'self'" in policy


def test_it_offers_the_embedded_model_alone(client):
    assert [model["name"] for model in client.get("/api/models").json()] == ["testbed"]
    opened = client.post("/api/sessions", headers={"origin": f"https://{HOST}", "sec-fetch-site": "same-origin"})
    assert "token" in opened.json()
