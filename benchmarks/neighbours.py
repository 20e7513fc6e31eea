"""What forgetting one concept does to the most similar concepts, for every method, at two strengths.

It forgets one object of the embedded model at a time, and counts its nearest neighbours apart from all others. It
writes docs/neighbours.md and .json; scripts/draw_figures.py draws the figure. If you start it again with the same
folder, it continues.

    python benchmarks/neighbours.py runs/neighbours
    python benchmarks/neighbours.py                   # writes the page from the JSON file
"""

import json
from dataclasses import replace

from candidates import DRAWING
from command import folder_given
from tune_methods import DOCS

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
    """Writes docs/neighbours.md from the JSON file beside it."""
    content = json.loads((DOCS / "neighbours.json").read_text())
    scores, costs = content["tasks"], content["costs"]["tasks"]
    text = [
        "# Neighbours",
        "`benchmarks/neighbours.py` writes this page. It forgets one object of the embedded model, and the most "
        f"similar objects should be kept. There are {WORLD.images_per_other} images of each object, so one image of "
        "the forgotten object is 12.5 %. Every method has the settings that `fia bench` uses for five objects. All but "
        "the negative prompt also have stronger settings (the larger marks). [neighbours.json](neighbours.json) has "
        "the intervals and every class.",
        "![Still detected against kept neighbours, as means over the three objects](neighbours.png)",
        "## What is still detected and what is kept",
        markdown(scores, costs),
        "## Where forgotten prompts go",
        where_they_go(scores),
        LEGEND,
    ]
    with written_whole(DOCS / "neighbours.md") as partial:
        partial.write_text("\n\n".join(text) + "\n", encoding="utf-8")


def main() -> None:
    if folder := folder_given(__doc__):
        bench = Bench(folder, WORLD, DRAWING)
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
