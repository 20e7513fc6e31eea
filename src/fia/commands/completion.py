"""`fia completion`."""

from contextlib import suppress
from dataclasses import dataclass, make_dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import OmitSubcommandPrefixes, Positional, subcommand

from . import COMMANDS, GROUPS
from .flags import MARKERS
from .values import REGISTRY


@dataclass
class Completion:
    """Prints a script that makes a shell complete commands and flags.

    Examples:
      fia completion bash
      fia completion zsh

    docs/command-line.md says where to put it.
    """

    shell: Positional[Literal["bash", "zsh", "fish"]]
    """The shell."""

    def run(self) -> None:
        words = ["--tyro-print-completion", self.shell]
        with suppress(SystemExit):  # tyro exits after it has printed
            tyro.cli(all_commands(), prog="fia", args=words, config=MARKERS, registry=REGISTRY)


def all_commands() -> Any:
    """Returns the union of all commands. The commands of a group are below it."""
    options: dict[str, Any] = {}
    for name, entry in COMMANDS.items():
        command = getattr(import_module(f".{entry.module}", __package__), entry.command)
        first, _, second = name.partition(" ")
        if second:
            options.setdefault(first, {})[second] = command
        else:
            options[first] = command
    for group in GROUPS:
        options[group] = make_dataclass(group, [("command", Annotated[_union(options[group]), OmitSubcommandPrefixes])])
    return _union(options)


def _union(options: dict[str, Any]) -> Any:
    return Union[tuple(Annotated[command, subcommand(name)] for name, command in options.items())]  # noqa: UP007
