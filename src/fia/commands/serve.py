"""`fia serve`."""

import contextlib
import socket
from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from ..errors import FIAError, UsageError
from ..loading import Runtime
from ..settings import check_at_least_one
from .arguments import MODEL


@dataclass
class Serve:
    """Opens a local page to forget concepts and compare images.

    The page shows images before and after, side by side, and what forgetting costs. You can keep the mask. The page
    offers only the embedded model and the models named here. It sends no request to any other server.

    Examples:
      fia serve
      fia serve ./my-model --port 8080
    """

    models: Annotated[Positional[tuple[str, ...]], arg(metavar="MODEL ...", help=MODEL)] = ()
    host: str = "127.0.0.1"
    """Address to listen on. Any other address lets other computers in; there is no password."""
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

    def run(self) -> None:
        try:
            import uvicorn

            from ..web.app import create_app
        except ModuleNotFoundError as error:
            if error.name not in ("fastapi", "uvicorn", "starlette", "pydantic"):
                raise
            message = f'fia serve needs {error.name}, which is not installed: pip install "forget-it-all[serve]"'
            raise FIAError(message) from None
        from ..web.offers import make_offers

        app = create_app(
            make_offers(self.models, self.batch_size, self.keep_safety_checker), host=self.host, runtime=self.runtime
        )
        with listen(self.host, self.port) as listener:
            shown = f"[{self.host}]" if ":" in self.host else self.host
            print(f"The page is at http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)", flush=True)
            config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it has ended
                uvicorn.Server(config).run(sockets=[listener])


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
