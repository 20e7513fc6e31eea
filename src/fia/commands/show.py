"""`fia show` and `fia publish`: what a mask holds, and how it is handed on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

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
