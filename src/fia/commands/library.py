"""`fia library ...`: add, list, remove and compose."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitSubcommandPrefixes, Positional, arg, subcommand

from ..errors import UsageError
from ..masks.describe import describe, describe_json
from ..masks.file import check_folder
from ..masks.library import Library
from ..masks.mask import NeuronMask

Folder = Annotated[Positional[Path], arg(metavar="DIR")]


@dataclass
class Add:
    """Adds a mask to a library, each of its concepts as a mask of its own.

    Example: fia library add masks/library masks/two
    """

    folder: Folder
    """Folder of the library; made where there is none."""
    masks: Annotated[Positional[tuple[str, ...]], arg(metavar="MASK...")]
    """Folders of masks, or ids of repositories on the Hub."""
    replace: bool = False
    """Replace concepts that are there already."""

    def run(self) -> None:
        if not self.masks:
            raise UsageError("No mask was given; name the folder of at least one.")
        for mask in map(NeuronMask.from_pretrained, self.masks):
            Library(self.folder).add(mask, replace=self.replace)
            print(f"Added {', '.join(mask.concepts)}")


@dataclass
class List:
    """Lists the concepts of a library.

    Example: fia library list masks/library
    """

    folder: Folder
    """Folder of the library."""
    json: bool = False
    """Print the list as JSON."""

    def run(self) -> None:
        rows = [
            {
                "concept": name,
                "kind": mask.kinds[name],
                "neurons": mask.neuron_counts[name],
                "agnostic_ratio": mask.agnostic_ratio,
                "model": mask.model,
            }
            for name, mask in Library(self.folder).masks().items()
        ]
        if self.json:
            print(json.dumps(rows, indent=2))
            return
        if not rows:
            print(f"{self.folder} holds no mask.")
            return
        print(f"{'concept':<28}{'kind':<10}{'neurons':>12}{'alpha':>8}  model")
        for concept, kind, neurons, alpha, model in (row.values() for row in rows):
            print(f"{concept:<28}{kind:<10}{neurons:>12,}{alpha:>8g}  {model}")


@dataclass
class Remove:
    """Deletes concepts from a library.

    Example: fia library remove masks/library church
    """

    folder: Folder
    """Folder of the library."""
    concepts: Annotated[Positional[tuple[str, ...]], arg(metavar="CONCEPT...")]
    """Their names."""

    def run(self) -> None:
        Library(self.folder).remove(*self.concepts)
        print(f"Removed {', '.join(self.concepts) or 'nothing'}")


@dataclass
class Compose:
    """Writes one mask for several concepts of a library, fused anew; the model is not needed.

    Examples:
      fia library compose masks/library church "golf ball" --out masks/policy
      fia library compose masks/library --out masks/everything --strengths "golf ball=0.5"
    """

    folder: Folder
    """Folder of the library."""
    concepts: Annotated[Positional[tuple[str, ...]], arg(metavar="CONCEPT...")]
    """Their names; all where none is given."""
    out: Path
    """Folder for the mask."""
    agnostic_ratio: float | None = None
    """Alpha of the fusion rule; the one that the masks have by default."""
    strengths: tuple[str, ...] = ()
    """What share of its neurons' weights a concept takes away, above 0 and at most 1, such as "golf ball=0.5"."""
    json: bool = False
    """Print what the mask holds as JSON."""

    def run(self) -> None:
        check_folder(self.out)
        mask = Library(self.folder).compose(self.concepts, self.agnostic_ratio)
        mask = mask.with_strengths(dict(map(parse_strength, self.strengths)))
        mask.save_pretrained(self.out)
        print(json.dumps(describe_json(mask), indent=2) if self.json else f"{describe(mask)}\n\nWritten to {self.out}")


def parse_strength(text: str) -> tuple[str, float]:
    """Returns the name and the number of NAME=NUMBER.

    Raises:
        ValueError: if the text is none.
    """
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UsageError(f'strength {text!r} is not of the form NAME=NUMBER, such as "golf ball=0.5".') from None


LibraryCommand = (
    Annotated[Add, subcommand("add")]
    | Annotated[List, subcommand("list")]
    | Annotated[Remove, subcommand("remove")]
    | Annotated[Compose, subcommand("compose")]
)


@dataclass
class LibraryCommands:
    """A folder of masks of one concept each, and the policies composed from them."""

    command: OmitSubcommandPrefixes[LibraryCommand]

    def run(self) -> None:
        self.command.run()
