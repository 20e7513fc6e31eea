"""The command line: one dataclass a command, and `main`, which runs the one that was asked for.

Every command is a dataclass whose fields are its flags; those of `Settings`, `DemoConfig` and `TrainingRecipe` are
taken over, so that a default and its explanation are written once.
"""

import sys
from typing import Annotated

import diffusers
import transformers
import tyro
from tyro.conf import subcommand

from . import __version__
from .commands.apply import Apply
from .commands.bench import BenchCommand
from .commands.evaluate import Evaluate
from .commands.forget import Forget
from .commands.generate import Generate
from .commands.layers import Layers
from .commands.library import LibraryCommands
from .commands.publish import Publish
from .commands.serve import Serve
from .commands.show import Show
from .commands.stability import StabilityCommand
from .commands.testbed import Testbed

Command = (
    Annotated[Forget, subcommand("forget")]
    | Annotated[Apply, subcommand("apply")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Layers, subcommand("layers")]
    | Annotated[LibraryCommands, subcommand("library")]
    | Annotated[Publish, subcommand("publish")]
    | Annotated[StabilityCommand, subcommand("stability")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[BenchCommand, subcommand("bench")]
    | Annotated[Serve, subcommand("serve")]
    | Annotated[Testbed, subcommand("testbed")]
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns 0, 1 for an error that is explained, or 130 where it was interrupted."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    description = "Makes text-to-image diffusion models forget concepts, without training."
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        print(__version__)
        return 0
    command = tyro.cli(Command, prog="fia", args=arguments, description=description)
    try:
        command.run()
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"fia: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fia: interrupted.", file=sys.stderr)
        return 130
    return 0
