"""What is refused: an error that says which field of the page it belongs to."""

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(ValueError):  # noqa: N818
    """Something a person entered cannot be used.

    Attributes:
        field: of the form that it was entered in.
        status: of the answer over HTTP.
    """

    def __init__(self, field: str | None, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


@contextmanager
def entered_in(field: str) -> Iterator[None]:
    """Says of the library's ValueErrors which field they belong to."""
    try:
        yield
    except ValueError as error:
        raise Refused(field, str(error)) from None
