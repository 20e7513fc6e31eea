"""Writes docs/scale.md and its figures from the last `fia bench --scale` (runs/scale), or from docs/scale.json."""

import argparse
import json

from draw_figures import percent
from update_readme import DOCS, ROOT, take_over

from fia.bench.chosen_settings import FOR_FEW
from fia.bench.report import BenchScores, page
from fia.bench.scale import SCALE_LEGEND, SCALE_TASKS
from fia.bench.scale_report import curves_figure
from fia.evaluation.run import RANDOM, UNTOUCHED
from fia.files import slug, written_whole

MOST_LEFT = 5  # percent
RUN = ROOT / "runs" / "scale"


def largest(scores: BenchScores) -> str:
    """Returns how much the methods that forget nearly everything keep of what nobody listed, in the largest task."""
    task, by_method = list(scores.items())[-1]
    unlisted = {name: percent(own, "rest") for name, own in by_method.items()}
    left = {name: percent(own, "still_detected") for name, own in by_method.items()}
    forget = [name for name in by_method if name not in (UNTOUCHED, RANDOM) and left[name] <= MOST_LEFT]
    in_order = sorted(forget, key=unlisted.__getitem__, reverse=True)
    return (
        f"*{task.capitalize()}*: at most {MOST_LEFT} % are still detected after {', '.join(in_order)}. They leave "
        f"{', '.join(f'{unlisted[name]:.1f}' for name in in_order)} % of what nobody listed "
        f"({unlisted[UNTOUCHED]:.1f} % before). The control gives new values to as many random connections: "
        f"{left[RANDOM]:.1f} % are still detected, and {unlisted[RANDOM]:.1f} % of what nobody listed are left."
    )


def not_measured(scores: BenchScores) -> list[str]:
    """Returns a sentence that names the tasks and methods that the run left out, if any."""
    tasks = [task.name for task in SCALE_TASKS if task.name not in scores]
    methods = [name for name in FOR_FEW if any(name not in own for own in scores.values())]
    return [f"Not measured: {', '.join(tasks + methods)}."] if tasks or methods else []


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    if (RUN / "results.json").exists():
        take_over(RUN, "scale")
    content = json.loads((DOCS / "scale.json").read_text())
    scores, costs = content["tasks"], content["costs"]
    world, drawing = content["made_with"]["world"], content["made_with"]["drawing"]
    precision = " in bfloat16" if drawing.get("autocast") else ""
    curves: list[str] = []
    if len(scores) > 1:
        curves_figure(scores, costs["tasks"]).savefig(DOCS / "scale-curves.png", dpi=120)
        curves = [
            "![What is still detected, what nobody listed, the other of two subjects, and the time](scale-curves.png)"
        ]
    parts = [
        "# One to a hundred concepts at once",
        "`fia bench --scale` measured these numbers on the large world of the embedded model: 120 objects, of which "
        "up to a hundred are forgotten together. Every second of the others is named to be kept. Every method "
        f"generates the same images: {world['forgotten']} of what is forgotten, {world['others']} each of what is "
        f"named and of what nobody listed, and {world['pairs']} of two subjects, one of them forgotten. Seeds start at "
        f"{world['seed']}. Each image takes {drawing['num_inference_steps']} steps at a guidance scale of "
        f"{drawing['guidance_scale']:g}{precision}. The methods have the settings that were chosen for the small world "
        "([rivals.md](rivals.md)). [scale.json](scale.json) has the intervals and every class.",
        largest(scores),
        *not_measured(scores),
        *curves,
        page(scores, costs["tasks"], SCALE_LEGEND),
        "## What they look like",
        *(f"**{task}**\n\n![A row for each method](scale-{slug(task)}.webp)" for task in scores),
    ]
    with written_whole(DOCS / "scale.md") as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
