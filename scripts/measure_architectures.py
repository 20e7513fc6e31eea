"""Does one setting serve other denoisers? Runs tasks of the benchmark on the embedded model's transformers.

It writes docs/architectures.json and its tables into docs/transformer.md. If you start it again with the same folder,
it continues.

    python scripts/measure_architectures.py runs/architectures
    python scripts/measure_architectures.py runs/architectures runs/seed-1     # and a U-Net that was trained there
    python scripts/measure_architectures.py                                    # writes the tables from the JSON file
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from settings_bench import DOCS, DRAWING
from update_readme import put

from fia.bench import TASKS, Bench
from fia.bench.edit_store import OURS
from fia.bench.questions import World
from fia.bench.report import table
from fia.evaluation.records import Scores
from fia.evaluation.run import RANDOM, UNTOUCHED
from fia.files import write_json
from fia.methods import FIA, Method
from fia.recommended import FOUND_WITH
from fia.testbed.pretrained import FOLDER, Architecture

PAGE, FILE = DOCS / "transformer.md", DOCS / "architectures.json"
NAMES: dict[str, Architecture] = {"cross-attention": "dit", "joint attention": "mmdit"}
SECOND = "U-Net, seed 1"
CHOSEN = tuple(task for task in TASKS if task.name in ("forget 5 objects", "forget all styles", "forget smoking"))
HELD_OUT = World(images_per_object=8, images_per_other=2, images_per_style=10)
ZEROS = "zeros in the feed-forward"
METHODS: Mapping[str, Method] = {OURS: FIA(FOUND_WITH), ZEROS: FIA(replace(FOUND_WITH, edit="zero"))}
ROWS = (UNTOUCHED, OURS, ZEROS, RANDOM)


def measure(out: Path, second: Path | None) -> None:
    """Runs what is missing, and writes docs/architectures.json."""
    folders = dict.fromkeys(NAMES, FOLDER) | ({SECOND: second} if second else {})
    tasks: dict[str, dict[str, Mapping[str, Scores]]] = {}
    for name, folder in folders.items():
        bench = Bench(out / name, HELD_OUT, DRAWING, folder, NAMES.get(name, "unet"))
        scores, _ = bench.run(CHOSEN, lambda _: METHODS)
        for task, rows in scores.items():
            tasks.setdefault(task, {})[name] = rows
    write_json(FILE, {"world": asdict(HELD_OUT), "settings": asdict(FOUND_WITH), "tasks": tasks})


def write_tables() -> None:
    """Writes the tables into docs/transformer.md."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    parts = []
    for task, models in content["tasks"].items():
        rows = {f"{model}: {row}": models[model][row] for model in models for row in ROWS}
        parts.append(f"### {task}\n\n{table(rows, {})}")
    put("\n\n".join(parts), "architectures", PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where to measure; without it, only the page is written")
    parser.add_argument("other_seed", type=Path, nargs="?", help="a U-Net that was trained from another seed")
    options = parser.parse_args()
    if options.folder:
        measure(options.folder, options.other_seed)
    write_tables()


if __name__ == "__main__":
    main()
