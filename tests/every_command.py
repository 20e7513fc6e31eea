"""Every command of the command line, and what its help says."""

import inspect
import re
from importlib import import_module

import pytest

from fia.cli import parse
from fia.commands import COMMANDS


def command_class(name: str) -> type:
    """Returns the dataclass of a command."""
    entry = COMMANDS[name]
    return getattr(import_module(f"fia.commands.{entry.module}"), entry.command)


def examples(name: str) -> list[str]:
    """Returns the examples of a command in its docstring."""
    lines = inspect.cleandoc(command_class(name).__doc__ or "").splitlines()
    return [line.strip() for line in lines if re.match(rf"fia {name}\b", line.strip())]


def help_of(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Returns what `fia COMMAND --help` prints."""
    with pytest.raises(SystemExit) as stop:
        parse([*name.split(), "--help"])
    assert not stop.value.code
    return capsys.readouterr().out
