"""Connections that send half a request, and then nothing, do not shut the others out."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SERVER = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from fia.web import connections

connections.LONGEST_REQUEST = float(sys.argv[1])

async def app(scope, receive, send):
    more = scope["type"] == "http"
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"here"})

with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connections.as_server(app).run(sockets=[listener])
"""
WHOLE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HALVES = {
    "nothing": b"",
    "half the headers": b"POST / HTTP/1.1\r\nHost: here\r\n",
    "half the body": b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{",
    "a second half": WHOLE + b"POST / HT",
}


@pytest.fixture
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """A server that may open 256 files; its parameter is how long a request may take, in seconds."""
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", SERVER, str(request.param)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()
        server.wait()
        server.stdout.close()


def answered(port: int) -> bytes:
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).read()


def half_open(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize("port", [600], indirect=True)
def test_the_page_answers_beside_hundreds_of_half_open_connections(port: int, tmp_path: Path) -> None:
    with ExitStack() as opened:
        for i in range(300):
            opened.enter_context(half_open(port, list(HALVES.values())[i % len(HALVES)]))
            if i % 100 == 99:
                assert answered(port) == b"here"
        assert answered(port) == b"here"
        assert (tmp_path / "log").stat().st_size < 1000


@pytest.mark.parametrize("port", [1], indirect=True)
def test_a_request_that_does_not_end_is_ended(port: int) -> None:
    connections = {what: half_open(port, sent) for what, sent in HALVES.items()}
    started = time.monotonic()
    for what, connection in connections.items():
        with connection:
            assert ended(connection), what
    assert 0.5 < time.monotonic() - started < 15
    with half_open(port, WHOLE) as kept:  # a whole one is answered
        assert kept.recv(1000).startswith(b"HTTP/1.1 200")
    assert answered(port) == b"here"


def ended(connection: socket.socket) -> bool:
    """Reads whatever comes, until the other side ends the connection."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return True
