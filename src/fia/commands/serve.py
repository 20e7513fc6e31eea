"""`fia serve`."""

import contextlib
import ipaddress
import logging
import secrets
import socket
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote

from tyro.conf import OmitArgPrefixes, Positional, arg

from ..errors import FIAError, UsageError
from ..loading import Runtime, check_model
from ..settings import check_at_least_one
from .arguments import MODEL

SHORTEST_TOKEN = 8  # characters

log = logging.getLogger("fia")


@dataclass
class Serve:
    """Opens a local page to forget concepts and compare images.

    The page shows images before and after, side by side, and what forgetting costs. You can keep the mask. The page
    offers only the embedded model and the models named here. It sends no request to any other server.

    Examples:
      fia serve
      fia serve ./my-model --port 8080
      fia serve --host 0.0.0.0
    """

    models: Annotated[Positional[tuple[str, ...]], arg(metavar="MODEL ...", help=MODEL)] = ()
    host: str = "127.0.0.1"
    """Address to listen on. Any other address lets other computers in, if they know the token."""
    token: str | None = None
    """Token that the page asks for, at least 8 characters. By default, a new one is made and printed if other
    computers can reach the page, and otherwise the page asks for none."""
    port: int = 8000
    """Port to listen on; 0 takes any free port."""
    batch_size: int = 8
    """Images generated at a time. Fewer images need less memory."""
    keep_safety_checker: bool = False
    """Leave the safety checker of a model on. It is off by default, because it blackens images, including some that you
    want to compare."""
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)

    def __post_init__(self) -> None:
        check_at_least_one(self, "batch_size")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port={self.port}; it must be between 0 and 65535.")
        if not self.host.strip():
            raise UsageError("The host is empty. Give an address, such as 127.0.0.1, or 0.0.0.0 for all.")
        if self.token is not None and len(self.token.strip()) < SHORTEST_TOKEN:
            raise UsageError(f"The token has fewer than {SHORTEST_TOKEN} characters. Give a longer one.")

    def run(self) -> None:
        for model in self.models:
            check_model(model)
        try:
            from ..web.app import create_app
            from ..web.connections import as_server
        except ModuleNotFoundError as error:
            if error.name not in ("fastapi", "uvicorn", "starlette", "pydantic"):
                raise
            message = f'fia serve needs {error.name}, which is not installed: pip install "forget-it-all[serve]"'
            raise FIAError(message) from None
        from ..web.offers import make_offers

        offers = make_offers(self.models, self.batch_size, self.keep_safety_checker)
        token = self.token or (None if is_local(self.host) else secrets.token_urlsafe(24))
        app = create_app(offers, host=self.host, runtime=self.runtime, secret=token)
        with listen(self.host, self.port) as listener:
            if not is_local(self.host):
                log.warning(
                    f"Other computers can reach {self.host}. Whoever has the address with the token can use these "
                    "models, and the connection is not encrypted. --host 127.0.0.1 lets this computer in alone."
                )
            print(f"The page is at {address(self.host, listener.getsockname()[1], token)} (Ctrl-C ends it)", flush=True)
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it has ended
                as_server(app).run(sockets=[listener])


def is_local(host: str) -> bool:
    """Whether only this computer can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def address(host: str, port: int, token: str | None) -> str:
    """Returns the address of the page on this computer; from another, the computer's own replaces 127.0.0.1."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}" + ("" if token is None else f"/?token={quote(token, safe='')}")


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens.

    Raises:
        FIAError: if it cannot listen on the address.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise FIAError(
            f"Cannot listen on {host}:{port} ({error.strerror}). Give another --port, or 0 for any free port."
        ) from None
