"""Puts the pictures and the numbers of the last `make demo` and `make bench` into docs/ and the README."""

import json
import re
import shutil
from pathlib import Path

from PIL import Image

from fia.bench.demo import SCORE_LABELS, alone_summary
from fia.bench.report import markdown, where_they_go
from fia.files import slug

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DEMO, BENCH = ROOT / "runs" / "demo", ROOT / "runs" / "bench"


def results_table(result: dict) -> str:
    """Returns the demonstration's numbers as a Markdown table with a line on what was pruned."""
    lines = ["| percent | untouched | FIA | random mask of equal size |", "|---|---|---|---|"]
    for key, label in SCORE_LABELS.items():
        values = (f"{state[key]:.1f}" for state in (result["base"], result, result["random"]))
        lines.append(f"| {label} | {' | '.join(values)} |")
    settings = result["settings"]
    own = "".join(f", of the {name} {ratio:.0%}" for name, ratio in result["evaluation"]["own_ratios"].items())
    lines += [
        "",
        f"Pruned: {result['pruned_connections']:,} connections, {result['sparsity']:.1%} of the maskable layers and "
        f"{result['denoiser_sparsity']:.2%} of the denoiser (r2 = {settings['spatial_ratio']:.1%}{own}; "
        f"r1 = {settings['temporal_ratio']:.0%}, "
        f"alpha = {settings['agnostic_ratio']:g}), found in {result['seconds_per_concept']:.1f} s a concept "
        f"({result['device']}). {result['images']} images a column, drawn in "
        f"{result['evaluation']['num_inference_steps']} steps; after removal, images are bit-identical again.",
        "",
        alone_summary(result["alone"]),
    ]
    return "\n".join(lines)


def bench_tables(results: dict, costs: dict) -> str:
    """Returns the tables of the first tasks, and where the others are."""
    first = dict(list(results["tasks"].items())[:2])
    link = "[The same with pictures, and where forgotten prompts go](docs/bench.md)."
    return f"{markdown(first, costs['tasks']).strip()}\n\n{link}"


def put(block: str, name: str, page: Path = ROOT / "README.md") -> None:
    """Writes a block between its marks in a page."""
    start, stop = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in page.read_text():
        raise SystemExit(f"{page.name} has no place for the {name}.")
    whole = f"{start}\n{block}\n{stop}"
    page.write_text(re.sub(f"{start}.*{stop}", lambda _: whole, page.read_text(), flags=re.DOTALL))


def publish_bench() -> None:
    """Takes over what `fia bench` wrote."""
    results, costs = (json.loads((BENCH / name).read_text()) for name in ("results.json", "costs.json"))
    put(bench_tables(results, costs), "bench")
    pictures = [file for task in results["tasks"] if (file := BENCH / f"{slug(task)}.png").exists()]
    for file in pictures:
        with Image.open(file) as picture:  # a sixth of the PNG's size
            picture.save(DOCS / f"bench-{file.stem}.webp", quality=90)
    shutil.copy(BENCH / "tradeoff.png", DOCS / "bench-tradeoff.png")
    shutil.copy(BENCH / "results.json", DOCS / "bench.json")
    world, drawing = results["made_with"]["world"], results["made_with"]["drawing"]
    parts = [
        "# Every method on the embedded model",
        f"What `fia bench` measured with {world['images_per_object']} images of each of the first ten objects and "
        f"{world['images_per_other']} of each other. "
        f'Prompts: "{world["template"]}", seeds from {world["seed"]}, '
        f"{drawing['num_inference_steps']} steps at a guidance scale of {drawing['guidance_scale']:g}; the same for "
        f"every method. Settings were chosen on others ([rivals.md](rivals.md)). Costs: {costs['machine']['device']}, "
        f"{costs['machine']['threads']} threads. Intervals and every class: [bench.json](bench.json).",
        "![What is forgotten against what is kept, for every task](bench-tradeoff.png)",
        "## What is forgotten and what is kept",
        markdown(results["tasks"], costs["tasks"]).strip(),
        "## Where forgotten prompts go",
        where_they_go({name: rows for name, rows in results["tasks"].items() if "object" in name}),
        *(f"### {file.stem.replace('-', ' ')}\n\n![A row a method](bench-{file.stem}.webp)" for file in pictures),
    ]
    (DOCS / "bench.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    if (BENCH / "results.json").exists():
        publish_bench()
    result = json.loads((DEMO / "result.json").read_text())
    if not result["bit_identical_after_removal"]:
        raise SystemExit("The demonstration's images were not bit-identical after removal; not publishing that.")
    shutil.copy(DEMO / "comparison.png", DOCS / "comparison.png")
    put(results_table(result), "results")


if __name__ == "__main__":
    main()
