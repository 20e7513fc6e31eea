"""Does one setting serve other denoisers? Runs tasks of the benchmark on the embedded model's transformers.

It writes docs/architectures.json and its tables into docs/transformer.md. If you start it again with the same folder,
it continues.

    python scripts/measure_architectures.py runs/architectures
    python scripts/measure_architectures.py runs/architectures --second runs/seed-1  # and a U-Net trained there
    python scripts/measure_architectures.py runs/architectures --only places         # this part; the others stay
    python scripts/measure_architectures.py                                          # the tables, from the JSON file

The parts are: models, recommended (the settings of their own), places (of joint attention), and second.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
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
from fia.provenance import environment
from fia.recommended import FOUND_WITH, REWRITTEN
from fia.testbed.pretrained import FOLDER, Architecture

PAGE, FILE = DOCS / "transformer.md", DOCS / "architectures.json"
NAMES: dict[str, Architecture] = {"cross-attention": "dit", "joint attention": "mmdit"}
SECOND = "U-Net, seed 1"
CHOSEN = tuple(task for task in TASKS if task.name in ("forget 5 objects", "forget all styles", "forget smoking"))
HELD_OUT = World(images_per_object=8, images_per_other=2, images_per_style=10)
ZEROS = "zeros in the feed-forward"
TUNING = World(8, 2, 10, template="a {subject} on a {place}", seed=60_000)
IMAGE, TEXT = "*.ff.net.2,*.attn.to_out.0", "*.ff_context.net.2,*.attn.to_add_out"
POOLED = "time_text_embed.text_embedder.linear_2"
USUAL = f"{IMAGE},*.ff_context.net.2"
PLACES = {
    "the usual": USUAL,
    "the usual and pooled text": f"{USUAL},{POOLED}",
    "image stream": IMAGE,
    "text stream": TEXT,
    "both streams": f"{IMAGE},{TEXT}",
    "pooled text": POOLED,
    "image stream and pooled text": f"{IMAGE},{POOLED}",
    "all three": f"{IMAGE},{TEXT},{POOLED}",
}
METHODS: Mapping[str, Method] = {OURS: FIA(FOUND_WITH), ZEROS: FIA(replace(FOUND_WITH, edit="zero"))}
OWN = "FIA rewritten, as recommended"
OWN_RANDOM = "random mask, as recommended"
ROWS = (UNTOUCHED, OURS, RANDOM, OWN, OWN_RANDOM, ZEROS)


def measure_models(out: Path, folders: Mapping[str, Path]) -> dict[str, Any]:
    """Runs what is missing of the tasks of the models in `folders`, by name, and returns their scores."""
    tasks: dict[str, dict[str, Mapping[str, Scores]]] = {}
    for name, folder in folders.items():
        bench = Bench(out / name, HELD_OUT, DRAWING, folder, NAMES.get(name, "unet"))
        scores, _ = bench.run(CHOSEN, lambda _: METHODS)
        for task, rows in scores.items():
            tasks.setdefault(task, {})[name] = rows
    return made_with(HELD_OUT) | {"settings": asdict(FOUND_WITH), "tasks": tasks}


def measure_recommended(out: Path) -> dict[str, Any]:
    """Runs what is missing of the transformers' own settings, and returns their scores."""
    tasks: dict[str, dict[str, dict[str, Scores]]] = {}
    own = {name: REWRITTEN[f"testbed-{architecture}"][0].settings for name, architecture in NAMES.items()}
    for name, settings in own.items():
        bench = Bench(out / f"{name}, as recommended", HELD_OUT, DRAWING, FOLDER, NAMES[name])
        scores, _ = bench.run(CHOSEN, lambda _: {OURS: FIA(settings)})  # noqa: B023
        for task, rows in scores.items():
            tasks.setdefault(task, {})[name] = {OWN: rows[OURS], OWN_RANDOM: rows[RANDOM]}
    return made_with(HELD_OUT) | {"settings": {name: asdict(used) for name, used in own.items()}, "tasks": tasks}


def measure_places(out: Path) -> dict[str, Any]:
    """Runs what is missing of the places of joint attention, and returns their scores."""
    methods = {name: FIA(replace(FOUND_WITH, layers=layers)) for name, layers in PLACES.items()}
    own = REWRITTEN["testbed-mmdit"][0].settings
    methods[f"all three, mu = {own.retain_weight:g}"] = FIA(own)
    scores, _ = Bench(out / "places", TUNING, DRAWING, FOLDER, "mmdit").run(CHOSEN, lambda _: methods)
    return made_with(TUNING) | {"settings": asdict(FOUND_WITH), "layers": PLACES, "tasks": scores}


def made_with(world: World) -> dict[str, Any]:
    """Returns the prompts, how images are generated, and where."""
    return {"world": asdict(world), "drawing": asdict(DRAWING), "environment": environment(torch.device("cpu"))}


def write_tables() -> None:
    """Writes the tables of the parts that were measured into docs/transformer.md."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    tasks = {part: own["tasks"] for part, own in content.items()}
    parts = []
    for task, models in tasks["models"].items():
        own, second = (tasks[part][task] if part in tasks else {} for part in ("recommended", "second"))
        known = {model: {**rows, **own.get(model, {})} for model, rows in (models | second).items()}
        rows = {f"{model}: {row}": known[model][row] for model in known for row in ROWS if row in known[model]}
        parts.append(f"### {task}\n\n{table(rows, {})}")
    put("\n\n".join(parts), "architectures", PAGE)
    places = [f"### {task}\n\n{table(rows, {})}" for task, rows in tasks.get("places", {}).items()]
    put("\n\n".join(places), "places", PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where to measure; without it, only the page is written")
    parser.add_argument("--second", type=Path, metavar="FOLDER", help="a U-Net that was trained from another seed")
    parser.add_argument("--only", choices=("models", "recommended", "places", "second"), help="measure only this part")
    options = parser.parse_args()
    if not options.folder and (options.only or options.second):
        parser.error("--only and --second need the folder to measure in")
    if options.folder:
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "models": lambda: measure_models(options.folder, dict.fromkeys(NAMES, FOLDER)),
            "recommended": lambda: measure_recommended(options.folder),
            "places": lambda: measure_places(options.folder),
        }
        if options.second:
            measures["second"] = lambda: measure_models(options.folder, {SECOND: options.second})
        if options.only and options.only not in measures:
            parser.error("--only second needs --second FOLDER")
        content = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        for part in [options.only] if options.only else measures:
            content[part] = measures[part]()
            write_json(FILE, content)
    write_tables()


if __name__ == "__main__":
    main()
