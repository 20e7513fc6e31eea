"""Chooses the settings of every method that `fia bench` compares, on prompts and seeds of their own.

Every candidate forgets five and ten objects of the embedded model; those with the highest Overall, of five and of ten,
are to stand in `src/fia/bench/methods.py`. Writes docs/rivals.md. Goes on where it stopped, with the same folder.

    python benchmarks/tune_methods.py runs/tuning
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fia.bench import TASKS, Bench
from fia.bench.methods import ESD_SETTINGS
from fia.bench.report import LEGEND, cells
from fia.evaluation.images import Drawing
from fia.methods import ESD, FIA, RECE, UCE, ConceptPrune, Method
from fia.methods.uce import Positions
from fia.testbed.demo import DEMO_SETTINGS
from fia.testbed.pretrained import GUIDANCE_SCALE
from fia.testbed.questions import World

DOCS = Path(__file__).parent.parent / "docs"
WORLD = World(images_per_object=8, images_per_other=1, template="a {subject} on a {place}", seed=60_000)
DRAWING = Drawing(num_inference_steps=20, guidance_scale=GUIDANCE_SCALE)
FINDING = replace(DEMO_SETTINGS, seed=10_000)
CHOOSING = TASKS[:2]
SPARING = {0.8: "alpha = 0.8", 1.01: "union"}
FINDING_AT = {7.5: "", 1.0: ", found without guidance"}
FIA_SETTINGS = (
    *((0.03, 0.8, 7.5), (0.03, 1.01, 7.5), (0.05, 0.8, 7.5), (0.05, 1.01, 7.5)),
    *((0.03, 1.01, 1.0), (0.04, 1.01, 1.0), (0.05, 0.8, 1.0), (0.05, 1.01, 1.0)),
)
UCE_SETTINGS: tuple[tuple[Positions, float, float], ...] = (
    *(("tail", 0.1, 10.0), ("tail", 1.0, 10.0), ("tail", 1.0, 30.0)),
    *(("last", 0.1, 1.0), ("last", 1.0, 0.1), ("last", 1.0, 1.0)),
)
RECE_SETTINGS: tuple[tuple[Positions, float, float, int, float], ...] = (
    *(("tail", 1.0, 10.0, 1, 0.1), ("tail", 1.0, 10.0, 3, 0.1)),
    *(("last", 1.0, 0.1, 1, 0.1), ("last", 1.0, 0.1, 3, 0.1), ("last", 1.0, 0.1, 3, 0.001), ("last", 1.0, 1.0, 3, 0.1)),
)


def candidates() -> dict[str, Mapping[str, Method]]:
    """Returns for each method what to try, by what sets it apart."""
    fia = {
        f"r2 = {r2:.0%}, {SPARING[alpha]}{FINDING_AT[guidance]}": FIA(
            replace(FINDING, spatial_ratio=r2, agnostic_ratio=alpha, guidance_scale=guidance)
        )
        for r2, alpha, guidance in FIA_SETTINGS
    }
    prune = {
        f"{ratio:.1%} of a row": ConceptPrune(ratio, prompts_per_concept=8, seeds_per_prompt=4, seed=FINDING.seed)
        for ratio in (0.005, 0.01, 0.02, 0.05)
    }
    uce = {
        f"{positions}, preserve {scale:g}, ridge {ridge:g}": UCE(positions=positions, preserve_scale=scale, ridge=ridge)
        for positions, scale, ridge in UCE_SETTINGS
    }
    rece = {
        f"{positions}, preserve {scale:g}, ridge {ridge:g}, rounds {rounds}, shrinkage {shrinkage:g}": RECE(
            positions=positions, preserve_scale=scale, ridge=ridge, rounds=rounds, shrinkage=shrinkage
        )
        for positions, scale, ridge, rounds, shrinkage in RECE_SETTINGS
    }
    esd = {
        variant: {f"rate {rate:g}": ESD(variant, learning_rate=rate, **ESD_SETTINGS) for rate in (1e-4, 5e-4)}
        for variant in ("x", "u")
    }
    return {"FIA": fia, "ConceptPrune": prune, "UCE": uce, "RECE": rece, "ESD-x": esd["x"], "ESD-u": esd["u"]}


def main() -> None:
    bench = Bench(Path(sys.argv[1]), WORLD, DRAWING)
    parts = [
        "# How the settings of every method were chosen",
        f'Written by `benchmarks/tune_methods.py` on the embedded model: prompts "{WORLD.template}" and seeds that the '
        "benchmark does not use, everything else as there. The highest Overall (in bold; among equals the one that "
        "keeps more of the rest) is what `fia bench` uses, that for five objects where up to five concepts are "
        "forgotten, that for ten where more are. FIA and ConceptPrune find with the same prompts, on other seeds than "
        "in the benchmark.",
    ]
    for name, variants in candidates().items():
        methods = {f"{name}, {label}": method for label, method in variants.items()}
        results, costs = bench.run(CHOOSING, lambda _: methods)  # noqa: B023
        head = " | ".join(f"{task.name}: forgotten % | kept % | rest % | overall" for task in CHOOSING)
        lines = [f"| | {head} | seconds |", f"|---|{'---|' * (1 + 4 * len(CHOOSING))}"]
        best = [max(methods, key=lambda label: rank(results[task.name][label])) for task in CHOOSING]
        for label in methods:
            rows = [cells(results[task.name][label], costs[task.name][label]) for task in CHOOSING]
            for row, chosen in zip(rows, best, strict=True):
                row[3] = f"**{row[3]}**" if label == chosen else row[3]
            values = " | ".join(value for row in rows for value in row[:4])
            lines.append(f"| {label.removeprefix(f'{name}, ')} | {values} | {'/'.join(row[-2] for row in rows)} |")
        parts.append(f"## {name}\n\n" + "\n".join(lines))
        (DOCS / "rivals.md").write_text("\n\n".join([*parts, LEGEND]) + "\n", encoding="utf-8")


def rank(scores: Mapping[str, Any]) -> tuple[float, float]:
    """Returns what is compared to find the best: Overall, then the rest."""
    rest = scores["preserving_accuracy_rest"]
    return scores["overall"], rest["percent"] if rest else 0.0


if __name__ == "__main__":
    main()
