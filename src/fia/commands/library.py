"""`fia library ...`: add, list, remove and compose."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..errors import NotFoundError, UsageError
from ..masks.describe import describe, describe_json
from ..masks.file import check_folder
from ..masks.library import Library
from ..masks.mask import NeuronMask
from .arguments import MASK, Folder, Json

Shelf = Annotated[Positional[Path], arg(metavar="LIBRARY", help="Folder of the library.")]
Names = Annotated[Positional[tuple[str, ...]], arg(metavar="NAME ...")]


@dataclass
class Add:
    """Adds masks to a library, each concept as a mask of its own.

    Examples:
      fia library add masks/library masks/two
    """

    folder: Shelf
    masks: Annotated[Positional[tuple[str, ...]], arg(metavar="MASK ...", help=MASK)]
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

    Examples:
      fia library list masks/library
    """

    folder: Shelf
    json: Json = False

    def run(self) -> None:
        rows = [
            {
                "concept": name,
                "kind": mask.kinds[name],
                "neurons": mask.neuron_counts[name],
                "agnostic_ratio": mask.agnostic_ratio,
                "model": mask.model,
            }
            for name, mask in library_at(self.folder).masks().items()
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

    Examples:
      fia library remove masks/library church
    """

    folder: Shelf
    concepts: Names
    """Names of the concepts."""

    def run(self) -> None:
        if not self.concepts:
            raise UsageError("No concept was given; name at least one to delete.")
        library_at(self.folder).remove(*self.concepts)
        print(f"Removed {', '.join(self.concepts)}")


@dataclass
class Compose:
    """Makes one mask of some of a library's concepts.

    They are fused anew; the model is not needed.

    Examples:
      fia library compose masks/library church "golf ball" --out masks/policy
      fia library compose masks/library --out masks/everything --strengths "golf ball=0.5"
    """

    folder: Shelf
    concepts: Names
    """Names of the concepts; all of them by default."""
    out: Folder
    """Where to save the mask."""
    agnostic_ratio: float | None = None
    """Alpha of the fusion rule; the one that the masks have by default."""
    strengths: tuple[str, ...] = ()
    """What share of its neurons' weights a concept takes away, above 0 and at most 1, such as "golf ball=0.5"."""
    json: Json = False

    def run(self) -> None:
        check_folder(self.out)
        mask = library_at(self.folder).compose(self.concepts, self.agnostic_ratio)
        mask = mask.with_strengths(dict(map(parse_strength, self.strengths)))
        mask.save_pretrained(self.out)
        print(json.dumps(describe_json(mask), indent=2) if self.json else f"{describe(mask)}\n\nWritten to {self.out}")


def library_at(folder: Path) -> Library:
    """Returns the library in a folder.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {str(folder)!r}; fia library add makes a library.")
    return Library(folder)


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
