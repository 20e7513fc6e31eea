"""What forgetting one concept does to the concepts most like it, for every method, at two strengths.

Forgets one object of the embedded model at a time and keeps its nearest neighbours apart from all others. Writes
docs/neighbours.md and .json, which scripts/draw_figures.py draws. Goes on where it stopped, with the same folder.

    python benchmarks/neighbours.py runs/neighbours
    python benchmarks/neighbours.py                   # writes the page from the JSON alone
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from tune_methods import DOCS, DRAWING

from fia import Concept
from fia.bench import Bench
from fia.bench.chosen_settings import ESD_SETTINGS, FOR_FEW, OF_FIVE, PROMPTS
from fia.bench.questions import World
from fia.bench.report import LEGEND, markdown, where_they_go
from fia.bench.tasks import BenchTask
from fia.files import written_whole
from fia.methods import ESD, FIA, RECE, UCE, ConceptPrune, Method

STRONG_RATIO = 0.1  # r2
WORLD = World(images_per_object=8, images_per_other=8, images_per_style=1)
NEIGHBOURS = {
    "car": ("bus", "garbage truck", "bicycle"),
    "horse": ("zebra", "English springer", "elephant"),
    "ship": ("airplane", "bus", "car"),
}
STRONGER: dict[str, Method] = {
    f"FIA, r2 = {STRONG_RATIO:.0%}": FIA(replace(OF_FIVE, spatial_ratio=STRONG_RATIO)),
    "ConceptPrune, 10% of a row": ConceptPrune(0.1, guidance_scale=1.0, **PROMPTS),
    "UCE, tail": UCE(positions="tail", preserve_scale=1.0, ridge=10.0),
    "RECE, tail": RECE(positions="tail", preserve_scale=1.0, ridge=10.0),
    "ESD-x, rate 0.002": ESD("x", learning_rate=2e-3, **ESD_SETTINGS),
    "ESD-u, rate 0.0005": ESD("u", learning_rate=5e-4, **ESD_SETTINGS),
}


def write_page() -> None:
    """Writes docs/neighbours.md from the JSON beside it."""
    content = json.loads((DOCS / "neighbours.json").read_text())
    scores, costs = content["tasks"], content["costs"]["tasks"]
    text = [
        "# Neighbours",
        "Written by `benchmarks/neighbours.py` on the embedded model: one object is forgotten, the objects most like "
        f"it are to be kept. {WORLD.images_per_other} images of each object; one image of the forgotten is 12.5 %. "
        "Methods have the settings that `fia bench` has for five objects, and all but the negative prompt have "
        "stronger ones once more (the larger marks). Intervals and every class: [neighbours.json](neighbours.json).",
        "![What is still detected against what is kept of the neighbours, mean of the three objects](neighbours.png)",
        "## What is still detected and what is kept",
        markdown(scores, costs),
        "## Where forgotten prompts go",
        where_they_go(scores),
        LEGEND,
    ]
    with written_whole(DOCS / "neighbours.md") as partial:
        partial.write_text("\n\n".join(text) + "\n", encoding="utf-8")


def main() -> None:
    if sys.argv[1:]:
        bench = Bench(Path(sys.argv[1]), WORLD, DRAWING)
        bench.run(
            [
                BenchTask(f"forget {name}, keep {', '.join(near)}", (Concept(name),), near)
                for name, near in NEIGHBOURS.items()
            ],
            lambda _: FOR_FEW | STRONGER,
        )
        results, costs = (json.loads((bench.out / name).read_text()) for name in ("results.json", "costs.json"))
        with written_whole(DOCS / "neighbours.json") as partial:
            partial.write_text(json.dumps(results | {"costs": costs}, indent=1) + "\n", encoding="utf-8")
    write_page()


if __name__ == "__main__":
    main()
