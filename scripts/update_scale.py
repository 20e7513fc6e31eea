"""Writes docs/scale.md and its figures from the last `fia bench --scale` (runs/scale), or from docs/scale.json."""

import argparse
import json
from collections.abc import Mapping

from draw_figures import percent
from update_readme import DOCS, ROOT, take_over

from fia.bench.chosen_settings import FOR_FEW, FOUND_IN_LARGE, PROMPTS_OF_LARGE
from fia.bench.edit_store import OURS
from fia.bench.report import BenchScores, page, table
from fia.bench.scale import SCALE_LEGEND, SCALE_TASKS
from fia.bench.scale_report import curves_figure
from fia.evaluation.records import Scores
from fia.evaluation.run import RANDOM, UNTOUCHED
from fia.files import slug, written_whole
from fia.finding.retained import near_words
from fia.finding.words import usable_words
from fia.models.layers import layer_shapes, maskable_layers
from fia.testbed.large import LARGE
from fia.testbed.pretrained import load_testbed

MOST_LEFT = 5  # percent
LARGE_WEIGHTS = ROOT / "testbed-large"
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


def why_not_more(scores: BenchScores) -> list[str]:
    """Returns why less of what nobody listed is left after the largest task than of what was named, as measured."""
    task = next(task for task in reversed(SCALE_TASKS) if task.name in scores)
    pipe = load_testbed(LARGE_WEIGHTS)
    words = [word for word, _ in usable_words(pipe, FOUND_IN_LARGE.retained_words)]
    near = {word for found in near_words(pipe, task.concepts, words).values() for word in found}
    names = [thing.name for thing in LARGE.objects]
    forgotten = {concept.name for concept in task.concepts}
    left = [word for word in words if word not in near]
    objects = [word for word in left if word in names and word not in forgotten and word not in task.keep]
    others = [name for name in names if name not in forgotten and name not in task.keep]
    widths = [inputs for _, inputs in layer_shapes(maskable_layers(pipe.unet, None, "cross-attention")).values()]
    return [
        "For more than one object, FIA rewritten takes neurons of the decoder's feed-forwards alone here, with a "
        "target beyond the base prompts' outputs, and keeps more of the statistics than elsewhere. The "
        f"cross-attention's outputs have at most {max(widths)} inputs in this model, too few to tell "
        "so many things apart: with them, more of what should stay is lost ([rivals.md](rivals.md)). What nobody "
        f"listed is protected by the list of common words. This model's tokenizer reads {len(words)} of them as one "
        f"token; {len(near)} are near one of the {len(forgotten)} objects, and of the {len(others)} objects that "
        f"nobody listed, {len(objects)} are among the {len(left)} words that remain. A larger mu leaves more and "
        "forgets less.",
        *limits(scores[task.name]),
    ]


def limits(measured: Mapping[str, Scores]) -> list[str]:
    """Returns what more connections and a longer list would bring, as benchmarks/limits.py measured it."""
    rows = json.loads((DOCS / "scale-limits.json").read_text())["rows"]
    shown = {OURS: measured[OURS]} | {name: row for name, row in rows.items() if name != UNTOUCHED}
    return [
        "`benchmarks/limits.py` asks what limits it: the number of connections, or what it is told. With every "
        "connection it may change all of these layers. Told the unlisted too, it knows what no method knows in the "
        "benchmark: the names of all that nobody listed.",
        table(shown, {}),
    ]


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
        f"{drawing['guidance_scale']:g}{precision}. Methods that find neurons take {PROMPTS_OF_LARGE} prompts for "
        "each object. The settings of every method were chosen on the large world, with other prompts and seeds, for "
        "one, ten and a hundred objects ([rivals.md](rivals.md)). Those for ten serve for 30 and 50 too, so "
        "curves may bend after 50. [scale.json](scale.json) has the intervals and every class.",
        largest(scores),
        *not_measured(scores),
        *curves,
        page(scores, costs["tasks"], SCALE_LEGEND),
        "## What limits a hundred objects",
        *why_not_more(scores),
        "## What they look like",
        *(f"**{task}**\n\n![A row for each method](scale-{slug(task)}.webp)" for task in scores),
    ]
    with written_whole(DOCS / "scale.md") as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
