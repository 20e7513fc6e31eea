"""Errors that explain themselves: the message names the value and the remedy.

The command line prints only the message, and exits with the error's exit code. Any other exception is a bug in this
package and shows its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FIAError(Exception):
    """Something went wrong. The message says what, and what to do about it.

    Attributes:
        exit_code: exit code of the command line: 2 for wrong use, 1 for a failure.
    """

    exit_code = 1


class UsageError(FIAError, ValueError):
    """An argument has a value that cannot be used."""

    exit_code = 2


class ArgumentError(FIAError, TypeError):
    """An argument has a type that cannot be used, or does not exist."""

    exit_code = 2


class UnsupportedError(FIAError, TypeError):
    """A pipeline, model or layer is of a kind that is not supported."""

    exit_code = 2


class NotFoundError(FIAError, FileNotFoundError):
    """There is no such model, mask or file."""

    exit_code = 2


class DataError(FIAError, ValueError):
    """A file is damaged, or values are not finite."""


class OutOfMemoryError(FIAError, MemoryError):
    """There is not enough memory."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns a question that names the known word closest to another, after a space; nothing if none is close."""
    close = get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
