"""Keeps away from the server other web pages in the same browser, and everyone who does not know its token."""

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

LARGEST_BODY = 64 * 1024  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def allowed_hosts(host: str) -> frozenset[str]:
    """Returns the names that a server bound to a host answers to. "*" stands for any numeric address."""
    names = {"localhost", "127.0.0.1", "::1", host.lower()}
    return frozenset(names | ({"*"} if host in ("0.0.0.0", "::") else set()))


def refusal(request: Request, hosts: Collection[str]) -> JSONResponse | None:
    """Returns the answer to a request that the server refuses, or None if it accepts the request.

    A name that is not the server's own may belong to another web site that points it here (DNS rebinding). A numeric
    address cannot belong to one.
    """
    host = request.headers.get("host", "")
    name = _hostname(f"//{host}")
    if name not in hosts and not ("*" in hosts and _is_address(name)):
        return _answer(421, f"This server does not answer to the name {name!r}. If it should, give --host {name}.")
    if request.method in ("GET", "HEAD"):
        return None
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return _answer(403, "Another web page sent this request; only the server's own page may.")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return _answer(403, "Another web page sent this request; only the server's own page may.")
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > LARGEST_BODY:
        return _answer(413, f"A request has at most {LARGEST_BODY} bytes, and must say how many.")
    return None


def entrance(request: Request, secret: str) -> Response | None:
    """Returns the answer to a request without the token, or None if it has it.

    A browser brings the token once, in the address, and from then on in a cookie. A program brings it in a header.
    """
    cookie = f"fia-{request.url.port or 80}"  # servers of one host share their cookies
    if request.url.path == "/" and _equal(request.query_params.get("token", ""), secret):
        response = RedirectResponse("/", 303)
        response.set_cookie(cookie, secret, httponly=True, samesite="lax")
        return response
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    if _equal(request.cookies.get(cookie, ""), secret) or _equal(bearer, secret):
        return None
    message = "This server asks for its token. Open the address that fia serve has printed, with ?token= at its end."
    return _answer(401, message) if request.url.path.startswith("/api/") else PlainTextResponse(message, 401)


def make_guard(hosts: Collection[str], secret: str | None) -> Callable[..., Awaitable[Response]]:
    """Returns the middleware that refuses requests and adds the headers that protect the page in the browser.

    Args:
        hosts: the names that the server answers to.
        secret: the token that a request must bring; None if it needs none.
    """

    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response: Response | None = refusal(request, hosts)
        if response is None and secret is not None:
            response = entrance(request, secret)
        if response is None:
            response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guard


def _answer(status: int, message: str) -> JSONResponse:
    return JSONResponse({"errors": [{"field": None, "message": message}]}, status)


def _equal(given: str, secret: str) -> bool:
    """Whether two texts are equal. The time it takes does not tell how far."""
    return secrets.compare_digest(given.encode(errors="replace"), secret.encode())


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
