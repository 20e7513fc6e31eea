"""`fia show`."""

import json
from dataclasses import dataclass

from ..masks.describe import describe, describe_json
from ..masks.mask import NeuronMask
from ..masks.overlap import draw_heat_map
from .arguments import File, Json, Mask


@dataclass
class Show:
    """Shows what a mask holds: concepts, layers, counts, settings.

    Examples:
      fia show masks/two
      fia show masks/ten --heat-map overlap.png
    """

    mask: Mask
    heat_map: File | None = None
    """File for a heat map of how many neurons each pair of concepts shares: .png, .svg, .pdf or .webp."""
    json: Json = False

    def run(self) -> None:
        mask = NeuronMask.from_pretrained(self.mask)
        if self.heat_map is not None:
            draw_heat_map(mask, self.heat_map)
        print(json.dumps(describe_json(mask), indent=2) if self.json else describe(mask))
