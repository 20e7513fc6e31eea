"""Does FIA forget in a diffusion transformer too? Measures it on the embedded one, and writes docs/transformer.md.

r2 and alpha are chosen on other prompts and seeds than those reported. Goes on where it stopped.
"""

import itertools
import json
import shutil
from dataclasses import replace

import torch
from measure_settings import SCORE_HEAD, score_row
from settings_bench import DOCS, EVALUATION, Bench
from update_readme import ROOT, put, results_table

from fia import NeuronMask
from fia.bench.demo import DEMO_SETTINGS, DemoConfig, run_demo
from fia.masks.random_control import random_mask

SPATIAL_RATIOS = (0.03, 0.05, 0.1, 0.2, 0.3)
AGNOSTIC_RATIOS = (0.6, 0.8, 1.01)  # the last spares nothing: the union
DEMO = ROOT / "runs" / "demo-dit"
DRAWN = DemoConfig("dit", images_per_object=8, images_per_rest_object=2, num_inference_steps=20, own_ratios={})


def everything(mask: NeuronMask) -> NeuronMask:
    """Returns a mask of all maskable connections."""
    whole = {name: torch.arange(outputs * inputs, dtype=torch.int32) for name, (outputs, inputs) in mask.shapes.items()}
    return replace(mask, neurons=dict.fromkeys(mask.concepts, whole), agnostic_ratio=AGNOSTIC_RATIOS[-1])


def sweep(bench: Bench) -> tuple[str, float, float]:
    """Returns a table over r2 and alpha with its controls, and the two with the highest Overall."""
    rows = [score_row("untouched", bench.once("untouched", lambda: bench.score(None)))]
    overall = {}
    for r2, alpha in itertools.product(SPATIAL_RATIOS, AGNOSTIC_RATIOS):
        label = f"r2 = {r2:.0%}, " + ("union" if alpha > 1 else f"alpha = {alpha}")
        result = bench.score_five(spatial_ratio=r2, agnostic_ratio=alpha)
        overall[r2, alpha] = result["overall"]
        rows.append(score_row(label, result))
    r2, alpha = SPATIAL_RATIOS[-1], AGNOSTIC_RATIOS[-1]

    def largest() -> NeuronMask:
        return bench.mask(spatial_ratio=r2, agnostic_ratio=alpha)

    control = bench.once("random", lambda: bench.score(random_mask(largest())))
    rows.append(score_row(f"random, as large as r2 = {r2:.0%} union", control))
    rows.append(score_row("all maskable weights", bench.once("all", lambda: bench.score(everything(largest())))))
    best = max(overall, key=lambda ratios: overall[ratios])
    return "\n".join([SCORE_HEAD, *rows]), *best


def demonstration(spatial_ratio: float, agnostic_ratio: float) -> str:
    """Returns the demonstration's numbers on the transformer, run where it was not run with these settings."""
    settings = replace(DEMO_SETTINGS, spatial_ratio=spatial_ratio, agnostic_ratio=agnostic_ratio)
    file = DEMO / "result.json"
    ratios = {"spatial_ratio": spatial_ratio, "agnostic_ratio": agnostic_ratio}
    if not file.exists() or not ratios.items() <= json.loads(file.read_text())["settings"].items():
        run_demo(DEMO, settings, DRAWN)
    shutil.copy(DEMO / "comparison.png", DOCS / "transformer.png")
    return results_table(json.loads(file.read_text()))


def main() -> None:
    table, spatial_ratio, agnostic_ratio = sweep(Bench(DOCS / "transformer.json", "dit"))
    parts = [
        "![The same prompts and seeds before, under the mask, and under a random mask of equal size](transformer.png)",
        demonstration(spatial_ratio, agnostic_ratio),
        "r2 and alpha were the best, by Overall, of those tried on other prompts and seeds "
        f'("{EVALUATION.template}"; one image of the five is 2.5 %):',
        table,
    ]
    put("\n\n".join(parts), "transformer", DOCS / "transformer.md")


if __name__ == "__main__":
    main()
