"""What limits the forgetting of a hundred objects: too few connections, too short a list, or the layers themselves.

It asks the questions of `fia bench --scale` about a hundred objects, with the same prompts and seeds, of FIA rewritten
with every connection of its layers, and of FIA rewritten that is also told what nobody lists in the benchmark. It
writes docs/scale-limits.json, which scripts/update_scale.py puts into docs/scale.md. If you start it again with the
same folder, it continues.

    python benchmarks/limits.py runs/limits
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from candidates import DRAWING_OF_LARGE, LARGE_WEIGHTS
from diffusers import DiffusionPipeline
from tune_methods import DOCS

from fia import Concept, NeuronMask, Settings, find
from fia.bench.chosen_settings import methods_for_scale
from fia.bench.edit_store import OURS
from fia.bench.scale import SCALE_TASKS, ScaleBench, ScaleWorld, unlisted
from fia.files import write_json
from fia.methods import FIA, Method

TASK = SCALE_TASKS[-1]


@dataclass(frozen=True)
class Told:
    """FIA that is also told to keep what nobody lists in the benchmark."""

    settings: Settings
    paper: ClassVar[str] = FIA.paper

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask."""
        return find(pipe, concepts, self.settings, keep=(*keep, *unlisted(TASK)))


def variants() -> dict[str, Method]:
    """Returns FIA rewritten with what it does not have in the benchmark."""
    usual = methods_for_scale(TASK)[OURS]
    assert isinstance(usual, FIA)
    return {
        "every connection": FIA(replace(usual.settings, spatial_ratio=1.0)),
        "told the unlisted too": Told(usual.settings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to measure")
    world = ScaleWorld()
    bench = ScaleBench(parser.parse_args().folder, world, DRAWING_OF_LARGE, LARGE_WEIGHTS)
    results, _ = bench.run([TASK], lambda _: variants())
    made_with = {"world": asdict(world), "drawing": asdict(DRAWING_OF_LARGE)}
    write_json(DOCS / "scale-limits.json", {"made_with": made_with, "rows": results[TASK.name]})


if __name__ == "__main__":
    main()
