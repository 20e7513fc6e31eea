"""`fia show` and `fia publish`: what a mask holds, and how it is handed on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..export import publish
from ..masks.describe import describe, describe_json
from ..masks.mask import NeuronMask
from ..masks.overlap import draw_heat_map


@dataclass
class Show:
    """Shows what a mask holds: concepts, layers, counts, sparsity and settings.

    Examples:
      fia show masks/two
      fia show masks/ten --heat-map overlap.png
    """

    mask: Annotated[Positional[str], arg(metavar="MASK")]
    """Folder of the mask, or the id of a repository on the Hub."""
    heat_map: Path | None = None
    """Picture to draw of how many neurons every two concepts share: a .png, .svg, .pdf or .webp file."""
    json: bool = False
    """Print it as JSON."""

    def run(self) -> None:
        mask = NeuronMask.from_pretrained(self.mask)
        if self.heat_map is not None:
            draw_heat_map(mask, self.heat_map)
        print(json.dumps(describe_json(mask), indent=2) if self.json else describe(mask))


@dataclass
class Publish:
    """Puts a mask with its evidence and licence into a folder, or on the Hugging Face Hub.

    Examples:
      fia publish masks/two --out published/two --evidence runs/two --licence apache-2.0
      fia publish masks/two --repo somebody/no-church --evidence runs/two --licence apache-2.0
    """

    mask: Annotated[Positional[str], arg(metavar="MASK")]
    """Folder of the mask."""
    out: Path | None = None
    """Folder to write."""
    repo: str | None = None
    """Repository on the Hub to upload to, owner/name; made where there is none. Needs `hf auth login`."""
    evidence: Path | None = None
    """Folder of the mask's evaluation, as `fia evaluate` wrote it."""
    licence: str | None = None
    """Identifier of the mask's licence, such as apache-2.0."""
    private: bool = False
    """Make a new repository private."""

    def run(self) -> None:
        if self.out is None and self.repo is None:
            raise ValueError("Say where to publish: --out FOLDER, --repo OWNER/NAME, or both.")
        mask = NeuronMask.from_pretrained(self.mask)
        if self.out is not None:
            publish.write(mask, self.out, self.evidence, self.licence)
            print(f"Written to {self.out}")
        if self.repo is not None:
            print(publish.push(mask, self.repo, self.evidence, self.licence, private=self.private or None))
