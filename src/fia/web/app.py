"""The server: the page, and the API that it calls under /api. Errors are {"errors": [{"field", "message"}]}."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from ..concepts import Concept
from ..files import slug
from ..loading import Runtime
from .drawing import draw, plan
from .finding import find_concepts, settings_of
from .forms import ConceptsForm, DrawForm, FindForm
from .guard import allowed_hosts, make_guard
from .jobs import Job, Worker
from .offers import Offer, suggest_prompts
from .refusal import Refused
from .sessions import Session, Sessions
from .zipped import zipped

PAGE = Path(__file__).parent / "page"
REMEDIES = {  # by pydantic's name of the error
    "greater_than_equal": "Give at least {ge}",
    "less_than_equal": "Give at most {le}",
    "int_parsing": "Give a whole number",
    "int_from_float": "Give a whole number",
    "int_type": "Give a whole number",
    "float_parsing": "Give a number",
    "float_type": "Give a number",
    "finite_number": "Give a number",
    "literal_error": "Give {expected}",
    "extra_forbidden": "There is no such field",
    "json_invalid": "The request is not JSON",
}


class Server:
    """Holds what the routes share.

    Attributes:
        offers: the models, by their names on the page.
        sessions: the open pages.
        worker: does the long work.
        runtime: where models run.
    """

    def __init__(self, offers: Sequence[Offer], runtime: Runtime) -> None:
        self.offers = {offer.label: offer for offer in offers}
        self.sessions = Sessions()
        self.worker = Worker()
        self.runtime = runtime

    def offer(self, label: str) -> Offer:
        """Returns the offered model of this name. Refuses any other name."""
        if label not in self.offers:
            raise Refused("model", f"{label!r} is not offered here; this server has {', '.join(self.offers)}.")
        return self.offers[label]

    def warm_up(self, offer: Offer) -> None:
        """Queues a job that loads a model, so that it is ready when somebody needs it."""

        def work(_job: Job) -> dict[str, Any]:
            offer.load(self.runtime)
            return {}

        self.worker.submit(Job(work))

    def start(self, session: Session, job: Job) -> dict[str, Any]:
        """Queues a job for a session, and cancels the session's last one."""
        if session.job is not None:
            self.worker.cancel(session.job)
        session.job = self.worker.submit(job)
        return self.tell(job)

    def tell(self, job: Job) -> dict[str, Any]:
        """Returns the state and the progress of a job."""
        return {
            "id": job.id,
            "state": job.state,
            "ahead": self.worker.place(job),
            "what": job.what,
            "done": job.done,
            "total": job.total,
            "seconds_left": job.seconds_left,
            "ready": dict(job.ready),
            "result": job.result,
            "error": job.error,
        }

    def check_names(self, form: ConceptsForm) -> tuple[Offer, list[Concept]]:
        """Returns the model and the concepts of a form. Refuses names that cannot be used, or that nobody knows."""
        offer, concepts, keep = self.offer(form.model), form.checked(), form.checked_keep()
        offer.check_names("concepts", concepts)
        offer.check_names("keep", keep)
        return offer, concepts

    def find(self, session: Session, form: FindForm) -> dict[str, Any]:
        """Queues a job that finds concepts."""
        offer, concepts = self.check_names(form)
        if form.keep and form.edit == "zero":
            raise Refused("keep", "Zeros keep nothing by name. Remove these names, or choose new values.")
        settings, concepts = settings_of(form, offer, concepts)

        def work(job: Job) -> dict[str, Any]:
            found = find_concepts(job, form, offer, concepts, settings, self.runtime)
            job.check()  # once more, because the new neurons now replace the old ones
            session.found, session.shown, session.drawn = found, found.mask, None
            return found.facts

        session.drawn = None  # a reloaded page follows this job, and generates nothing meanwhile
        return self.start(session, Job(work))

    def draw(self, session: Session, form: DrawForm) -> dict[str, Any]:
        """Queues a job that generates images."""
        if session.found is None:
            raise Refused(None, "No concept has been found yet; press Find & forget first.", 409)
        planned = plan(session.found, form)
        session.shown, session.drawn = planned.mask, form
        job = self.start(session, Job(lambda job: draw(job, planned, session.pictures)))
        return {"job": job, "pictures": planned.as_json()}


def create_app(
    offers: Sequence[Offer], *, host: str = "127.0.0.1", runtime: Runtime | None = None, secret: str | None = None
) -> FastAPI:
    """Returns the server as an ASGI application.

    Args:
        offers: the models that a person can choose. The first one is loaded at once.
        host: the name that the server is bound to. It answers to this name and to localhost.
        runtime: where models run.
        secret: the token that a request must bring. None lets everyone in who can reach the server.
    """
    server = Server(offers, runtime or Runtime())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        server.warm_up(offers[0])
        yield
        server.worker.close()

    app = FastAPI(title="Forget-It-All", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.middleware("http")(make_guard(allowed_hosts(host), secret))
    app.add_exception_handler(Refused, _answer_refused)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_failed)
    _add_routes(app, server)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _add_routes(app: FastAPI, server: Server) -> None:
    """Adds all routes under /api."""

    @app.get("/api/models")
    def models() -> list[dict[str, Any]]:
        return [offer.as_json() for offer in server.offers.values()]

    @app.post("/api/suggestions")
    def suggestions(form: ConceptsForm) -> list[str]:
        _, concepts = server.check_names(form)
        return suggest_prompts(concepts, form.checked_keep())

    @app.post("/api/sessions")
    def open_session() -> dict[str, str]:
        return {"token": server.sessions.open().token}

    @app.get("/api/sessions/{token}")
    def session(token: str) -> dict[str, Any]:
        own = server.sessions.get(token)
        return {
            "found": own.found and own.found.facts,
            "drawn": own.drawn,
            "job": server.tell(own.job) if own.job is not None and own.job.is_live else None,
        }

    @app.post("/api/sessions/{token}/find")
    def find(token: str, form: FindForm) -> dict[str, Any]:
        return server.find(server.sessions.get(token), form)

    @app.post("/api/sessions/{token}/draw")
    def draw_pictures(token: str, form: DrawForm) -> dict[str, Any]:
        return server.draw(server.sessions.get(token), form)

    @app.get("/api/sessions/{token}/jobs/{job_id}")
    def job(token: str, job_id: str) -> dict[str, Any]:
        return server.tell(_own_job(server.sessions.get(token), job_id))

    @app.post("/api/sessions/{token}/jobs/{job_id}/cancel")
    def cancel(token: str, job_id: str) -> dict[str, Any]:
        own = _own_job(server.sessions.get(token), job_id)
        server.worker.cancel(own)
        return server.tell(own)

    @app.get("/api/sessions/{token}/pictures/{key}.png")
    def picture(token: str, key: str) -> Response:
        own = server.sessions.get(token).pictures.get(key)
        if own is None:
            raise Refused(None, "This image is no longer there; generate it again.", 404)
        return Response(own.png, media_type="image/png", headers={"Cache-Control": "private, max-age=86400, immutable"})

    @app.get("/api/sessions/{token}/mask.zip")
    def mask(token: str) -> Response:
        shown = server.sessions.get(token).shown
        if shown is None or not shown.concepts:
            raise Refused(None, "There is no mask, because every concept is off. Switch a concept on.", 409)
        name = "without-" + "-".join(map(slug, shown.concepts))
        headers = {"Content-Disposition": f'attachment; filename="{name[:80]}.zip"'}
        return Response(zipped(shown, name[:80]), media_type="application/zip", headers=headers)


def _own_job(session: Session, job_id: str) -> Job:
    """Returns the session's job, and notes that somebody asked for it. Refuses a job that a newer one replaced."""
    if session.job is None or session.job.id != job_id:
        raise Refused(None, "A newer job replaced this one. Reload the page to follow it.", 404)
    session.job.touch()
    return session.job


def _answer_refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return JSONResponse({"errors": [{"field": error.field, "message": str(error)}]}, error.status)


def _answer_failed(_request: Request, error: Exception) -> JSONResponse:
    """Answers to a request that no route takes, or that cannot be read."""
    assert isinstance(error, HTTPException)
    messages = {404: "There is nothing at this address.", 405: "This address does not take such a request."}
    errors = [{"field": None, "message": messages.get(error.status_code, f"{error.detail}.")}]
    return JSONResponse({"errors": errors}, error.status_code, headers=error.headers)


def _answer_invalid(_request: Request, error: Exception) -> JSONResponse:
    """Answers with the errors that pydantic found. Each one names its field and the value that was given."""
    assert isinstance(error, RequestValidationError)
    errors = []
    for found in error.errors():
        place = [str(part) for part in found["loc"][1:]]
        given = "nothing" if found["input"] is None else f"{found['input']!r:.60}"
        message = REMEDIES.get(found["type"], "{msg}").format(msg=found["msg"], **found.get("ctx", {}))
        errors.append({"field": place[0] if place else None, "message": f"{message}; {given} was given."})
    return JSONResponse({"errors": errors}, 422)
