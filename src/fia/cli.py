"""The command line: finds the command that was asked for, imports that one alone, and runs it.

Every command is a dataclass whose fields are its flags (`commands.flags` says how they read), so that a default and its
explanation are written once. This module and the table of commands import nothing heavy: `fia --help` and
`fia --version` answer at once.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from . import __version__
from .commands import COMMANDS, GROUPS
from .commands import terminal as term
from .errors import FIAError, UsageError, did_you_mean

HELP = ("-h", "--help")
ABOUT = "Makes text-to-image diffusion models forget concepts, without training."
FIRST_TRY = """
A first try, with the model that comes along:
  fia demo
  fia forget testbed church --out masks/church
  fia generate testbed "a church in a forest" --mask masks/church --out images
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    Args:
        arguments: the words after `fia`; those of this process by default.

    Returns:
        0; 2 for wrong use and 1 for another failure, both explained in one line; 130 after an interruption. What is not
        explained is raised.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    shows_traceback = "--debug" in words or os.environ.get("FIA_DEBUG", "0") not in ("", "0")
    term.replace_unprintable()
    try:
        code = _run([word for word in words if word != "--debug"])
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # of `fia ... | head`
        term.silence_stdout()
        return term.BROKEN_PIPE
    except KeyboardInterrupt:
        print(term.INTERRUPTION, file=sys.stderr)
        return term.INTERRUPTED
    except (FIAError, OSError) as error:
        explanation = explain(error)
        if explanation is None:
            raise
        if shows_traceback:
            sys.excepthook(type(error), error, error.__traceback__)
        else:
            print(f"fia: {explanation}", file=sys.stderr)
        return error.exit_code if isinstance(error, FIAError) else 1


def explain(error: FIAError | OSError) -> str | None:
    """Returns the sentence that explains an error, or None if there is none."""
    if isinstance(error, FIAError):
        return str(error)
    return None if error.filename is None else f"{error.filename}: {error.strerror}"


def _run(words: list[str]) -> int:
    """Answers --help and --version, or runs a command; returns the exit code."""
    if words == ["--version"]:
        print(__version__)
        return 0
    group = words[0] if words and words[0] in GROUPS else ""
    asked = words[1:] if group else words
    if not asked:
        print(overview(group), file=sys.stderr)
        return UsageError.exit_code
    if asked[0] in HELP:
        print(overview(group))
        return 0
    try:
        command = parse(words)
    except SystemExit as stop:  # after the help, or after what is wrong with the flags
        return int(stop.code or 0)
    with term.warnings_on_stderr():
        command.run()
    return 0


def overview(group: str = "") -> str:
    """Returns the help of `fia`, or of a group of its commands."""
    rows: dict[str, str] = {}
    for name, entry in COMMANDS.items():
        first, _, second = name.partition(" ")
        if not group:
            rows[first] = GROUPS.get(first, entry.help)
        elif first == group:
            rows[second] = entry.help
    lines = [f"usage: fia {group + ' ' if group else ''}COMMAND ...", "", GROUPS.get(group, ABOUT), ""]
    lines += [f"  {name:<12}{text}" for name, text in rows.items()]
    lines += [] if group else FIRST_TRY.rstrip().splitlines()
    lines += ["", "  --help      Show this, or the flags and examples of a command."]
    if not group:
        lines += ["  --version   Show the version.", "  --debug     Show the traceback of an explained error, too."]
    return "\n".join(lines)


def parse(words: Sequence[str]) -> Any:
    """Returns the command that the words after `fia` stand for, ready to `run`.

    Raises:
        ValueError: if there is no such command, or a value is out of range.
        SystemExit: for --help, and for flags that do not exist or cannot be read, after saying so.
    """
    name = _command_name(words)
    entry = COMMANDS[name]
    with term.ended_at_once(), term.quiet_libraries():
        read = import_module(".commands.flags", __package__).read
        command = getattr(import_module(f".commands.{entry.module}", __package__), entry.command)
    term.ensure_columns()
    return read(command, name, words[len(name.split()) :])


def _command_name(words: Sequence[str]) -> str:
    """Returns the name of the command that the words begin with, one word or two."""
    for name in (" ".join(words[:1]), " ".join(words[:2])):
        if name in COMMANDS:
            return name
    is_in_group = bool(words) and words[0] in GROUPS
    name = " ".join(words[: 2 if is_in_group else 1])
    known = [own for own in COMMANDS if own.startswith(f"{words[0]} ")] if is_in_group else [*COMMANDS, *GROUPS]
    place = f"fia {words[0]} --help" if is_in_group else "fia --help"
    raise UsageError(f"There is no command {name!r}.{did_you_mean(name, known)} {place} lists all of them.")
