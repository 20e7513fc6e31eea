"""Chooses the settings of every method that `fia bench` compares, on prompts and seeds of their own.

Every candidate forgets five and ten objects of the embedded model; the one with the highest mean Overall is to stand in
`src/fia/bench/methods.py`. Writes docs/rivals.md. Goes on where it stopped, with the same folder.

    python benchmarks/tune_methods.py runs/tuning
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fia.bench import TASKS, Bench
from fia.bench.methods import METHODS
from fia.bench.report import LEGEND, cells
from fia.evaluation.images import Drawing
from fia.methods import ESD, FIA, UCE, ConceptPrune, Method
from fia.testbed.demo import DEMO_SETTINGS
from fia.testbed.pretrained import GUIDANCE_SCALE
from fia.testbed.questions import World

DOCS = Path(__file__).parent.parent / "docs"
WORLD = World(images_per_object=8, images_per_other=1, template="a {subject} on a {place}", seed=60_000)
DRAWING = Drawing(num_inference_steps=20, guidance_scale=GUIDANCE_SCALE)
FINDING = replace(DEMO_SETTINGS, seed=10_000)
CHOOSING = TASKS[:2]
ESD_SETTINGS = {"iterations": 150, "batch_size": 4, "num_inference_steps": 10}


def candidates() -> dict[str, Mapping[str, Method]]:
    """Returns for each method what to try, by what sets it apart."""
    fia = {
        f"r2 = {r2:.0%}, {'union' if alpha > 1 else f'alpha = {alpha}'}": FIA(
            replace(FINDING, spatial_ratio=r2, agnostic_ratio=alpha)
        )
        for r2 in (0.03, 0.05)
        for alpha in (0.8, 1.01)
    }
    prune = {
        f"{ratio:.1%} of a row": ConceptPrune(ratio, prompts_per_concept=8, seeds_per_prompt=4, seed=FINDING.seed)
        for ratio in (0.005, 0.01, 0.02, 0.05)
    }
    uce = {
        f"preserve {scale:g}, ridge {ridge:g}": UCE(preserve_scale=scale, ridge=ridge)
        for scale in (0.1, 1.0)
        for ridge in (0.1, 1.0, 10.0)
    }
    esd = {
        variant: {f"rate {rate:g}": ESD(variant, learning_rate=rate, **ESD_SETTINGS) for rate in (1e-4, 5e-4)}
        for variant in ("x", "u")
    }
    return {"FIA": fia, "ConceptPrune": prune, "UCE": uce, "ESD-x": esd["x"], "ESD-u": esd["u"]}


def main() -> None:
    bench = Bench(Path(sys.argv[1]), WORLD, DRAWING)
    parts = [
        "# How the settings of every method were chosen",
        f'Written by `benchmarks/tune_methods.py` on the embedded model: prompts "{WORLD.template}" and seeds that the '
        "benchmark does not use, everything else as there. Mean is that of Overall when five and when ten objects are "
        "forgotten; the highest is what `fia bench` uses. FIA and ConceptPrune find with the same prompts, on other "
        "seeds than in the benchmark.",
    ]
    for name, variants in candidates().items():
        methods = {f"{name}, {label}": method for label, method in variants.items()}
        results, costs = bench.run(CHOOSING, methods)
        lines = [
            "| | mean | " + " | ".join(f"{task.name}: forgotten % | kept % | rest %" for task in CHOOSING) + " | s |"
        ]
        lines.append(f"|---|{'---|' * (2 + 3 * len(CHOOSING))}")
        for label in methods:
            rows = [cells(results[task.name][label], costs[task.name][label]) for task in CHOOSING]
            overall = sum(results[task.name][label]["overall"] for task in CHOOSING) / len(CHOOSING)
            values = [value for row in rows for value in row[:3]]
            seconds = "/".join(row[-2] for row in rows)
            lines.append(f"| {label.partition(', ')[2]} | {overall:.1f} | {' | '.join(values)} | {seconds} |")
        settings = ", ".join(f"{key} {value}" for key, value in vars(METHODS[name]).items() if key != "settings")
        parts.append(f"## {name}\n\n" + "\n".join(lines) + (f"\n\nIn the benchmark: {settings}." if settings else ""))
        (DOCS / "rivals.md").write_text("\n\n".join([*parts, LEGEND]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
