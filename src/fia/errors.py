"""The errors that are explained: one sentence that names the value and the remedy.

The command line prints the sentence alone, and ends with the error's exit code. Any other exception is a fault of this
package, and shows its traceback.
"""


class FIAError(Exception):
    """Something went wrong and the message says what, and what to do.

    Attributes:
        exit_code: of the command line: 2 for wrong use, 1 for a failure.
    """

    exit_code = 1


class UsageError(FIAError, ValueError):
    """A value that was given cannot be used."""

    exit_code = 2


class UnsupportedError(FIAError, TypeError):
    """A pipeline, a model or a layer is of a kind that cannot be used."""

    exit_code = 2


class NotFoundError(FIAError, FileNotFoundError):
    """There is no such model, mask or file."""

    exit_code = 2


class DataError(FIAError, ValueError):
    """A file is damaged, or numbers are not finite."""


class OutOfMemoryError(FIAError, MemoryError):
    """The memory does not suffice."""
