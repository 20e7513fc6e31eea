"""An open page that uses the server's API."""

import time
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

DRAWN = {"prompts": ["a church", "a cat"], "num_inference_steps": 2, "agnostic_ratio": 0.9}


class Page:
    """What a browser does with the server's API."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.path = f"/api/sessions/{client.post('/api/sessions').json()['token']}"

    def post(self, path: str, **form: Any) -> Response:
        return self.client.post(self.path + path, json=form)

    def get(self, path: str) -> Response:
        return self.client.get(self.path + path)

    def find(self, *names: str, **form: Any) -> Response:
        return self.post("/find", model="tiny", concepts=[{"name": name} for name in names], **form)

    def draw(self, **form: Any) -> Response:
        return self.post("/draw", **(DRAWN | form))

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        return self.get(f"/jobs/{job['id']}").json()

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """Waits until a job has ended, and returns it."""
        until = time.monotonic() + 30
        while (job := self.job(job))["state"] in ("queued", "running"):
            assert time.monotonic() < until, job
            time.sleep(0.01)
        return job

    def found(self, *names: str) -> dict[str, Any]:
        """Finds concepts, and returns the facts about them."""
        job = self.ended(self.find(*names).json())
        assert job["state"] == "done", job
        return job["result"]
