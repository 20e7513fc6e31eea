"""How the command line treats its terminal: characters, width, warnings and interruptions."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERRUPTED, BROKEN_PIPE = 130, 141  # the exit codes that shells use for SIGINT and SIGPIPE
INTERRUPTION = "fia: interrupted."
FEWEST_COLUMNS = 40


def replace_unprintable() -> None:
    """Prints a question mark for each character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # not every replacement of a stream has it
        if reconfigure is not None:
            reconfigure(errors="replace")


def ensure_columns() -> None:
    """Treats the terminal as at least 40 columns wide, because some words need that width."""
    from shutil import get_terminal_size

    if get_terminal_size().columns < FEWEST_COLUMNS:
        os.environ["COLUMNS"] = str(FEWEST_COLUMNS)


def silence_stdout() -> None:
    """Drops all further output after its reader has gone. Otherwise Python's last flush complains again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides the notes and loading bars of libraries that the `with` block imports."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # otherwise it reports packages that are not installed
    yield
    for name in ("transformers", "diffusers"):
        logging = sys.modules.get(f"{name}.utils.logging")
        if logging is not None:
            logging.set_verbosity_error()
            logging.disable_progress_bar()


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Makes Ctrl-C end the process at once while modules load, because an import can turn it into another error."""
    import signal
    import threading

    def leave(*_: object) -> None:
        os.write(2, f"{INTERRUPTION}\n".encode())
        os._exit(INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():  # only the main thread can set a handler
        yield
        return
    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def told_to_continue(folder: Path) -> Iterator[None]:
    """If the `with` block is interrupted and its folder exists, says that the same command continues from there."""
    try:
        yield
    except KeyboardInterrupt:
        if folder.exists():
            print(f"What is done so far is in {folder}. The same command continues from there.", file=sys.stderr)
        raise


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Prints the package's warnings to stderr."""
    import logging

    from tqdm import tqdm

    class Terminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            line = f"fia: {record.levelname.lower()}: {self.format(record)}"
            tqdm.write(line, file=sys.stderr)  # above a progress bar, if there is one

    log, handler = logging.getLogger("fia"), Terminal()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
