"""Connections that stay open without asking for anything, so that they cannot shut the others out.

uvicorn waits for the rest of a request without end, and above its own limit of connections it refuses all requests.
"""

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

LONGEST_REQUEST = 15.0  # seconds until a request must be there, with its body
MOST_CONNECTIONS = 64  # a browser opens at most six for a page
ACCEPTED_AT_ONCE = 16  # the loop accepts four times as many before it drops one; all of them are open files


def as_server(app: Any) -> uvicorn.Server:
    """Returns the server that runs an ASGI application with these limits."""
    config = uvicorn.Config(
        app, http=Connection, backlog=ACCEPTED_AT_ONCE, log_level="warning", timeout_graceful_shutdown=3
    )
    return uvicorn.Server(config)


class Connection(H11Protocol):
    """A connection that is closed if its request takes too long, or if newer ones need its place."""

    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0  # when it began to wait, by the loop's clock

    @property
    def is_waiting(self) -> bool:
        """Whether the connection has no whole request to answer."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Counts the connection. If there are too many, drops the one that has waited longest for its request."""
        super().connection_made(transport)
        self._wait()
        others = [other for other in self.connections if isinstance(other, Connection)]
        others = [other for other in others if not other.transport.is_closing()]  # one is not dropped twice
        if len(others) > MOST_CONNECTIONS:
            waiting = [other for other in others if other.is_waiting]
            min(waiting, key=lambda other: other._since).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Takes a part of a request. Its time runs from the first part."""
        super().data_received(data)
        if not self.is_waiting:
            self._stop_waiting()
        elif self._deadline is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._since = self.loop.time()
        self._deadline = self.loop.call_later(LONGEST_REQUEST, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
