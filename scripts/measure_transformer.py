"""Does FIA forget in a diffusion transformer too? Measures the embedded transformer and writes docs/transformer.md.

It chooses r2 and alpha with other prompts and seeds than those of the report. After an interruption, it continues.
"""

import argparse
import itertools
import shutil
from dataclasses import replace

import torch
from measure_settings import SCORE_HEAD, score_row
from settings_bench import DOCS, EVALUATION, SettingsBench
from update_readme import ROOT, put, results_table

from fia import NeuronMask, Settings
from fia.bench.demo import DemoConfig, DemoResult, run_demo
from fia.bench.questions import World
from fia.drawing.images import Drawing
from fia.masks.random_control import random_mask
from fia.recommended import GUIDANCE_SCALES

SPATIAL_RATIOS = (0.03, 0.05, 0.1, 0.2, 0.3)
AGNOSTIC_RATIOS = (0.6, 0.8, 1.01)  # the last spares nothing: the union
BASE = Settings(edit="zero", seed=10_000, agnostic_ratio=0.6, prompts_per_concept=8)
DEMO = ROOT / "runs" / "demo-dit"
CONFIG = DemoConfig(
    "dit",
    World(images_per_object=8, images_per_other=2, seed=1000),
    Drawing(20, GUIDANCE_SCALES["testbed-dit"]),
)


def everything(mask: NeuronMask) -> NeuronMask:
    """Returns a mask of all maskable connections."""
    whole = {name: torch.arange(outputs * inputs, dtype=torch.int32) for name, (outputs, inputs) in mask.shapes.items()}
    return replace(mask, neurons=dict.fromkeys(mask.concepts, whole), agnostic_ratio=AGNOSTIC_RATIOS[-1])


def sweep(bench: SettingsBench) -> tuple[str, float, float]:
    """Returns a table over r2 and alpha with its controls, and the r2 and alpha with the highest Overall."""
    rows = [score_row("untouched", bench.once("untouched", lambda: bench.score(None)))]
    overall: dict[tuple[float, float], float] = {}
    for r2, alpha in itertools.product(SPATIAL_RATIOS, AGNOSTIC_RATIOS):
        label = f"r2 = {r2:.0%}, " + ("union" if alpha > 1 else f"alpha = {alpha}")
        result = bench.score_five(spatial_ratio=r2, agnostic_ratio=alpha)
        overall[r2, alpha] = result["overall"] or 0.0
        rows.append(score_row(label, result))
    r2, alpha = SPATIAL_RATIOS[-1], AGNOSTIC_RATIOS[-1]

    def largest() -> NeuronMask:
        return bench.mask(spatial_ratio=r2, agnostic_ratio=alpha)

    control = bench.once("random", lambda: bench.score(random_mask(largest())))
    rows.append(score_row(f"random, as large as r2 = {r2:.0%} union", control))
    rows.append(score_row("all maskable weights", bench.once("all", lambda: bench.score(everything(largest())))))
    best = max(overall, key=lambda ratios: overall[ratios])
    return "\n".join([SCORE_HEAD, *rows]), *best


def demonstration(bench: SettingsBench, spatial_ratio: float, agnostic_ratio: float) -> DemoResult:
    """Returns the demonstration on the transformer. If it is new, also copies its picture to docs/."""

    def measure() -> DemoResult:
        result = run_demo(DEMO, CONFIG, {"spatial_ratio": spatial_ratio, "agnostic_ratio": agnostic_ratio})
        shutil.copy(DEMO / "comparison.png", DOCS / "transformer.png")
        return result

    return bench.once(f"demonstration, r2 = {spatial_ratio:.0%}, alpha = {agnostic_ratio}", measure)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    bench = SettingsBench(DOCS / "transformer.json", "dit", BASE)
    table, spatial_ratio, agnostic_ratio = sweep(bench)
    parts = [
        "![The same prompts and seeds before, under the mask, and under a random mask of equal size](transformer.png)",
        results_table(demonstration(bench, spatial_ratio, agnostic_ratio)),
        "This r2 and alpha have the highest Overall of all that we tried, on other prompts and seeds "
        f'("{EVALUATION.template}"; one image of the five objects is 2.5 %):',
        table,
    ]
    put("\n\n".join(parts), "transformer", DOCS / "transformer.md")


if __name__ == "__main__":
    main()
