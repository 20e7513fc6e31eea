"""Runs the local page with the embedded model as a Space on the Hugging Face Hub."""

import os

import uvicorn
from fastapi import FastAPI, Request, Response

from fia.web.app import create_app
from fia.web.offers import make_offers

PORT = 7860  # where a Space listens
FRAME = "frame-ancestors https://huggingface.co"  # the Hub shows a Space in a frame of its own page


def make_app() -> FastAPI:
    """Returns the page under the name of the Space, which may be shown in the Hub's page and in no other."""
    app = create_app(make_offers((), 8, False), host=os.environ["SPACE_HOST"])

    @app.middleware("http")
    async def allow_frame(request: Request, call_next) -> Response:  # type: ignore[no-untyped-def]
        response: Response = await call_next(request)
        policy = response.headers.get("Content-Security-Policy", "frame-ancestors 'none'")
        response.headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", FRAME)
        return response

    return app


if __name__ == "__main__":
    # The Hub's proxy says in headers how the page was reached.
    uvicorn.run(make_app(), host="0.0.0.0", port=PORT, log_level="warning", forwarded_allow_ips="*")
