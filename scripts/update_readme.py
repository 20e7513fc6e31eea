"""Copies the pictures and numbers of the last `make demo`, `make bench` and `make attacks` into docs/ and the README.

If there are no new ones, it writes the pages again from the JSON files in docs/.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

from PIL import Image

from fia.bench.attacks_report import BenchAttacks
from fia.bench.attacks_report import markdown as attacks_tables
from fia.bench.demo import DemoResult, alone_summary
from fia.bench.edit_store import OURS
from fia.bench.ranking import LEGEND as RANKING_LEGEND
from fia.bench.ranking import overall_table
from fia.bench.report import page, tradeoff_figure, where_they_go
from fia.evaluation import summary
from fia.files import slug, written_whole
from fia.masks.card import DEEDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DEMO, BENCH = ROOT / "runs" / "demo", ROOT / "runs" / "bench"
ATTACKS = {
    ("UnlearnDiffAtk", ""): "UnlearnDiffAtk",
    ("concept inversion", ""): "a learned word",
    ("merged with the original", "w = 0.5"): "mixed half with the original",
}
LABELS = {"masked": "FIA", "random mask": "random mask of equal size"}  # of states, in the table


def results_table(result: DemoResult) -> str:
    """Returns the demonstration's numbers as a Markdown table, with a paragraph about the mask."""
    states, mask, environment = result["states"], result["mask"], result["environment"]
    lines = [
        f"| percent | {' | '.join(LABELS.get(state, state) for state in states)} |",
        f"|{'---|' * (len(states) + 1)}",
    ]
    for metric, _ in summary.rows(states):
        if metric.path != ("changed_percent",):
            values = [summary.value_at(scores, metric) for scores in states.values()]
            cells = ("" if value is None else f"{summary.middle(value):.1f}" for value in values)
            lines.append(f"| {metric.label.removesuffix(', %')} | {' | '.join(cells)} |")
    settings, threads = mask["settings"], result["threads"]
    own = "".join(f", {ratio:.0%} for the {name}" for name, ratio in mask["spatial_ratios"].items())
    lines += [
        "",
        f"The mask {DEEDS[settings['edit']]} {mask['pruned']:,} connections: {mask['sparsity']:.1%} of the maskable "
        f"layers and {mask['denoiser_sparsity']:.2%} of the denoiser (r2 = {settings['spatial_ratio']:.1%}{own}; r1 = "
        f"{settings['temporal_ratio']:.0%}, mu = {settings['retain_weight']:g}). Finding it took "
        f"{mask['seconds_per_concept']:.1f} s for each concept ({environment['device']}, "
        f"{threads} thread{'s' if threads > 1 else ''}). "
        f"Each column is measured on {result['images']} images of {result['drawing']['num_inference_steps']} steps. "
        "After the mask is removed, the images are bit-identical to those before.",
        "",
        alone_summary(result["alone"]),
    ]
    return "\n".join(lines)


def attacks_line(attacks: BenchAttacks) -> str:
    """Returns how much of the five objects some attacks bring back after FIA's new values.

    Raises:
        SystemExit: if one of them was not run yet.
    """
    done = attacks["tasks"]["forget 5 objects"]["attacks"]
    after = {(one["attack"], one["variant"]): one["states"][OURS]["after"]["percent"] for one in done}
    if missing := [" ".join(key) for key in ATTACKS if key not in after]:
        raise SystemExit(f"The attacks have no {missing[0]} yet: finish {BENCH} (make attacks), or move it away.")
    shares = ", ".join(f"{name} {after[key]:.0f} %" for key, name in ATTACKS.items())
    return f"Detected again after [cheap attacks](docs/attacks.md): {shares}."


def put(block: str, name: str, page: Path = ROOT / "README.md") -> None:
    """Writes a block between its markers in a page."""
    start, stop = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in page.read_text():
        raise SystemExit(f"{page.name} has no place for the {name}: add the lines {start} and {stop}.")
    whole = f"{start}\n{block}\n{stop}"
    page.write_text(re.sub(f"{start}.*{stop}", lambda _: whole, page.read_text(), flags=re.DOTALL))


def take_over(run: Path, name: str) -> None:
    """Copies a run of `fia bench` into docs/: results and costs in one file, and the picture of each task."""
    results, costs = (json.loads((run / file).read_text()) for file in ("results.json", "costs.json"))
    with written_whole(DOCS / f"{name}.json") as partial:
        partial.write_text(json.dumps(results | {"costs": costs}, indent=1) + "\n")
    for task in results["tasks"]:
        with Image.open(run / f"{slug(task)}.png") as picture:  # WebP takes a sixth of the PNG's size
            picture.save(DOCS / f"{name}-{slug(task)}.webp", quality=90)


def write_bench() -> None:
    """Writes docs/bench.md and its figure."""
    content = json.loads((DOCS / "bench.json").read_text())
    scores, costs = content["tasks"], content["costs"]
    world, drawing = content["made_with"]["world"], content["made_with"]["drawing"]
    precision, threads = " in bfloat16" if drawing.get("autocast") else "", costs["machine"]["threads"]
    tradeoff_figure(scores).savefig(DOCS / "bench-tradeoff.png", dpi=120)
    parts = [
        "# Every method on the embedded model",
        "`fia bench` measured these numbers. Every method generates the same images: "
        f"{world['images_per_object']} of each of the first ten objects and {world['images_per_other']} of each other "
        f'object. The prompt is "{world["template"]}"; seeds start at {world["seed"]}. Each image takes '
        f"{drawing['num_inference_steps']} steps at a guidance scale of {drawing['guidance_scale']:g}{precision}. The "
        "settings of the methods were chosen with other prompts and seeds ([rivals.md](rivals.md)). The costs were "
        f"measured on {costs['machine']['device']} with {threads} thread{'s' * (threads > 1)}. "
        "[bench.json](bench.json) has the intervals and every class.",
        "![What is still detected against what is kept, for every task](bench-tradeoff.png)",
        page(scores, costs["tasks"]),
        "## Where forgotten prompts go",
        where_they_go({name: rows for name, rows in scores.items() if "object" in name}),
        "## What they look like",
        "Each picture shows the first image of each concept, one row for each method, and what the judge sees. The "
        "answer is red if it should be gone.",
        *(f"**{task}**\n\n![A row for each method](bench-{slug(task)}.webp)" for task in scores),
    ]
    with written_whole(DOCS / "bench.md") as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    put(f"{overall_table(scores)}\n\n{RANKING_LEGEND}", "scores", DOCS / "findings.md")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if (BENCH / "results.json").exists():
        take_over(BENCH, "bench")
    write_bench()
    if (DEMO / "result.json").exists():
        result: DemoResult = json.loads((DEMO / "result.json").read_text())
        if not result["bit_identical_after_removal"]:
            raise SystemExit(
                "The demonstration's images are not bit-identical after removal, so docs/ stays as it is. "
                "Find the cause first."
            )
        shutil.copy(DEMO / "result.json", DOCS / "demo.json")
        shutil.copy(DEMO / "comparison.png", DOCS / "comparison.png")
    new = BENCH / "attacks/attacks.json"
    attacks: BenchAttacks = json.loads((new if new.exists() else DOCS / "attacks.json").read_text())
    attacked = attacks_line(attacks)
    if new.exists():
        shutil.copy(new, DOCS / "attacks.json")
    put(attacks_tables(attacks), "attacks", DOCS / "attacks.md")
    put(f"{results_table(json.loads((DOCS / 'demo.json').read_text()))}\n\n{attacked}", "results")


if __name__ == "__main__":
    main()
