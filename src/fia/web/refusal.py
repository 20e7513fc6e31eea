"""The error for what the server refuses. It says which field of the page it belongs to."""

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(ValueError):  # noqa: N818
    """A value that a person entered cannot be used.

    Attributes:
        field: the field of the form that holds the value, if one does.
        status: the HTTP status of the answer.
    """

    def __init__(self, field: str | None, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


@contextmanager
def entered_in(field: str) -> Iterator[None]:
    """Turns a ValueError of the library into `Refused`, with the field that it belongs to."""
    try:
        yield
    except ValueError as error:
        raise Refused(field, str(error)) from None
