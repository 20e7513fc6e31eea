"""What forgetting one concept does to the concepts most like it, for every method.

Forgets one object of the embedded model at a time and keeps its nearest neighbours apart from all others. Writes
docs/neighbours.md, .json and .png. Goes on where it stopped, with the same folder.

    python benchmarks/neighbours.py runs/neighbours
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from tune_methods import DOCS, DRAWING

from fia import Concept
from fia.bench import Bench, methods_for
from fia.bench.report import LEGEND, markdown, tradeoff_figure, where_they_go
from fia.bench.tasks import BenchTask
from fia.methods import FIA
from fia.testbed.demo import ALONE_RATIO, DEMO_SETTINGS
from fia.testbed.questions import World

WORLD = World(images_per_object=8, images_per_other=8, images_per_style=1)
NEIGHBOURS = {
    "car": ("bus", "garbage truck", "bicycle"),
    "horse": ("zebra", "English springer", "elephant"),
    "ship": ("airplane", "bus", "car"),
}


def main() -> None:
    bench = Bench(Path(sys.argv[1]), WORLD, DRAWING)
    tasks = [
        BenchTask(f"forget {name}, keep {', '.join(near)}", (Concept(name),), near) for name, near in NEIGHBOURS.items()
    ]
    alone = {f"FIA, r2 = {ALONE_RATIO:.0%}": FIA(replace(DEMO_SETTINGS, spatial_ratio=ALONE_RATIO))}
    results, costs = bench.run(tasks, lambda task: dict(methods_for(task)) | alone)
    text = [
        "# Neighbours",
        "Written by `benchmarks/neighbours.py` on the embedded model: one object is forgotten, the objects most like "
        f"it are to be kept. {WORLD.images_per_other} images of each object; one image of the forgotten is 12.5 %. "
        "Methods as in `fia bench`, and FIA with the r2 that one object alone needs. Intervals and every class: "
        "[neighbours.json](neighbours.json).",
        "![What is forgotten against what is kept of the neighbours](neighbours.png)",
        markdown(results, costs).replace(LEGEND, "").strip(),
        "## Where forgotten prompts go",
        where_they_go(results),
        LEGEND,
    ]
    tradeoff_figure(results).savefig(DOCS / "neighbours.png", dpi=120)
    shutil.copy(bench.out / "results.json", DOCS / "neighbours.json")
    (DOCS / "neighbours.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
