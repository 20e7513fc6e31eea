"""Collects the warnings of the package, which go to the logger `fia`."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Yields the list of warnings, which grows within the `with` block."""
    kept, log = _Kept(), logging.getLogger("fia")
    log.addHandler(kept)
    try:
        yield kept.messages
    finally:
        log.removeHandler(kept)


@contextmanager
def warned(match: str) -> Iterator[None]:
    """Fails unless a warning within the `with` block matches the pattern."""
    with heard() as messages:
        yield
    assert any(re.search(match, message) for message in messages), f"{match!r} is in none of {messages}"
