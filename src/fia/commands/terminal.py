"""What a command line owes to its terminal: characters, width, warnings, and an end when it is interrupted."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED, BROKEN_PIPE = 130, 141  # as shells name processes that end by SIGINT and SIGPIPE
INTERRUPTION = "fia: interrupted."
FEWEST_COLUMNS = 40


def replace_unprintable() -> None:
    """Lets characters that the terminal's encoding lacks come out as question marks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # not every stand-in has it
        if reconfigure is not None:
            reconfigure(errors="replace")


def ensure_columns() -> None:
    """Lets a terminal count as one of 40 columns at least: there are words that fit into no fewer."""
    from shutil import get_terminal_size

    if get_terminal_size().columns < FEWEST_COLUMNS:
        os.environ["COLUMNS"] = str(FEWEST_COLUMNS)


def silence_stdout() -> None:
    """Drops what is still to be printed, after its reader has gone: or Python's last flush complains once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides the notes and loading bars of the libraries that are loaded within the `with` block."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # or it speaks of what it was installed without
    yield
    for name in ("transformers", "diffusers"):
        logging = sys.modules.get(f"{name}.utils.logging")
        if logging is not None:
            logging.set_verbosity_error()
            logging.disable_progress_bar()


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Lets Ctrl-C end the process while modules load: inside an import it can turn into another error."""
    import signal
    import threading

    def leave(*_: object) -> None:
        os.write(2, f"{INTERRUPTION}\n".encode())
        os._exit(INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():  # which alone can set this
        yield
        return
    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Shows what the package warns of."""
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
