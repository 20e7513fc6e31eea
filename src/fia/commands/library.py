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
    """Adds masks to a library, as one mask for each concept.

    Examples:
      fia library add masks/library masks/two
    """

    folder: Shelf
    masks: Annotated[Positional[tuple[str, ...]], arg(metavar="MASK ...", help=MASK)]
    replace: bool = False
    """Replace concepts that the library holds already."""

    def run(self) -> None:
        if not self.masks:
            raise UsageError("No mask was given; give the folder of at least one.")
        masks = list(map(NeuronMask.from_pretrained, self.masks))
        Library(self.folder).add(*masks, replace=self.replace)
        for mask in masks:
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
            raise UsageError("No concept was given; give at least one to delete.")
        library_at(self.folder).remove(*self.concepts)
        print(f"Removed {', '.join(self.concepts)}")


@dataclass
class Compose:
    """Makes one mask from concepts of a library.

    It fuses the concepts again and does not need the model.

    Examples:
      fia library compose masks/library church "golf ball" --out masks/policy
      fia library compose masks/library --out masks/everything --strengths "golf ball=0.5"
    """

    folder: Shelf
    concepts: Names
    """Names of the concepts; all by default."""
    out: Folder
    """Where to save the mask."""
    agnostic_ratio: float | None = None
    """Alpha of the fusion rule; by default that of the masks."""
    strengths: tuple[str, ...] = ()
    """Share of its neurons' weights that a concept takes away, from above 0 to 1, such as "golf ball=0.5"."""
    replace: bool = False
    """Replace a mask that is there already."""
    json: Json = False

    def run(self) -> None:
        strengths = dict(map(parse_strength, self.strengths))
        if self.folder.resolve() == self.out.resolve().parent:
            raise UsageError(f"--out {self.out} is an entry of the library itself; give a folder outside of it.")
        check_folder(self.out, replaces=self.replace)
        mask = library_at(self.folder).compose(self.concepts, self.agnostic_ratio)
        mask = mask.with_strengths(strengths)
        mask.warn_if_idle()
        mask.save_pretrained(self.out)
        print(json.dumps(describe_json(mask), indent=2) if self.json else f"{describe(mask)}\n\nWritten to {self.out}")


def library_at(folder: Path) -> Library:
    """Returns the library in a folder.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {str(folder)!r}; make a library with fia library add.")
    return Library(folder)


def parse_strength(text: str) -> tuple[str, float]:
    """Returns the name and the number of NAME=NUMBER.

    Raises:
        ValueError: if the text has another form.
    """
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UsageError(f'strength {text!r} is not of the form NAME=NUMBER, such as "golf ball=0.5".') from None
