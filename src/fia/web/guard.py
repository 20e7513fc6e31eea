"""Keeps other web pages in the same browser away from the server, and our page away from other servers."""

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import JSONResponse

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


def make_guard(hosts: Collection[str]) -> Callable[..., Awaitable[Response]]:
    """Returns the middleware that refuses requests and adds the headers that protect the page in the browser."""

    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = refusal(request, hosts) or await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guard


def _answer(status: int, message: str) -> JSONResponse:
    return JSONResponse({"errors": [{"field": None, "message": message}]}, status)


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
