"""The paper's ablations on the embedded model: layers, score, filter, alpha, number of steps, r1.

It also measures how many prompts a mask needs until it no longer depends on them.

Every row forgets the same five objects at the benchmark's r2 and alpha, and generates the prompts and seeds that choose
settings. Eq. 1 to 8 are those of the package, except for what a row names. It writes docs/ablations.md and .json. If
you start it again with the same folder, it continues.

    python benchmarks/ablations.py runs/ablations
    python benchmarks/ablations.py                   # writes the page from the JSON file
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import torch
from candidates import DRAWING, FINDING, WORLD
from command import folder_given
from diffusers import DiffusionPipeline
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn
from tune_methods import DOCS

from fia import Concept, Settings
from fia.bench import TASKS, Bench
from fia.bench.chosen_settings import PROMPTS as OF_BENCH
from fia.bench.report import LEGEND, table
from fia.edits.weight_edit import WeightEdit
from fia.evaluation.records import Scores
from fia.files import written_whole
from fia.finding.collect import collect_statistics
from fia.finding.neurons import select_neurons, share
from fia.finding.plan import plan_finding
from fia.finding.progress import Progress
from fia.finding.saliency import Measure, connection_saliency
from fia.finding.stability import Stability, measure_stability
from fia.masks.fusion import fuse
from fia.methods import FIA, Method
from fia.models.layers import MaskableLayer


def weight_times_norm(weight: Tensor, inputs: Tensor, _outputs: Tensor, _bias: Tensor | None) -> Tensor:
    """Returns |W| ||X||: Eq. 1 without the alignment of input and output."""
    norms: Tensor = inputs.float().norm(dim=-2, keepdim=True)
    return weight.float().abs() * norms


def row_normalised(weight: Tensor, inputs: Tensor, outputs: Tensor, bias: Tensor | None) -> Tensor:
    """Returns |W| ||X||, with each row divided by its sum."""
    scores = weight_times_norm(weight, inputs, outputs, bias)
    return scores / scores.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def top_of_rows(aggregated: Tensor, ratio: float) -> Tensor:
    """Selects neurons by Eq. 4 only."""
    best = aggregated.topk(share(ratio, aggregated.shape[1]), dim=1).indices
    chosen = torch.zeros_like(aggregated, dtype=torch.bool).scatter_(1, best, True) & (aggregated > 0)
    return chosen.flatten().nonzero()[:, 0]


def top_of_layer(aggregated: Tensor, ratio: float) -> Tensor:
    """Selects neurons by Eq. 5 only."""
    flat = aggregated.flatten()
    best = flat.topk(share(ratio, flat.numel())).indices
    return best[flat[best] > 0].sort().values


FIVE = TASKS[0]
PROMPTS = (1, 2, 4, 8, 15)
STABILITY = """## Would other prompts find the same neurons?

`fia stability` finds each object's neurons with n prompts, with n others from other seeds, and with the same n on other
base prompts. The numbers are intersections over unions with the first, as means over the five objects.

"""
SCORES: dict[str, Measure] = {
    "Eq. 1": connection_saliency,
    "|W| ||X||": weight_times_norm,
    "|W| ||X||, rows normalised": row_normalised,
}
FILTERS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "both": select_neurons,
    "per row": top_of_rows,
    "per layer": top_of_layer,
}
LAYERS: dict[str, Callable[[BasicTransformerBlock], nn.Linear]] = {
    "FFN2": lambda block: block.ff.net[2],
    "FFN1": lambda block: block.ff.net[0].proj,
    "cross K": lambda block: block.attn2.to_k,
    "cross V": lambda block: block.attn2.to_v,
    "self K": lambda block: block.attn1.to_k,
    "self V": lambda block: block.attn1.to_v,
}


class Content(TypedDict):
    """The content of docs/ablations.json: the scores by question and variant, and the prompts and settings."""

    world: dict[str, Any]
    finding: dict[str, Any]
    rows: dict[str, Scores]
    stability: list[dict[str, Any]]


@dataclass(frozen=True)
class Ablation:
    """FIA with other layers, another score or another filter."""

    settings: Settings
    layers: str = "FFN2"
    score: str = "Eq. 1"
    selection: str = "both"
    paper: ClassVar[str] = "Deng et al., Forget-It-All, arXiv 2601.06163"

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the pruned weights."""
        plan = plan_finding(pipe, concepts, self.settings)
        modules = list(plan.denoiser.named_modules())
        names = {module: name for name, module in modules}
        chosen = [LAYERS[self.layers](block) for _, block in modules if isinstance(block, BasicTransformerBlock)]
        layers = {names[layer]: MaskableLayer(layer) for layer in chosen}
        with Progress(plan.steps_of_group, shown=False) as steps:
            statistics, _ = collect_statistics(plan, layers, plan.pairs, steps, SCORES[self.score])
        weights = {}
        for name, layer in layers.items():
            integrals = statistics.layers[name].integrals
            ratio = plan.spatial_ratio(plan.pairs[0][0])
            found = [FILTERS[self.selection](integral.aggregate(), ratio) for integral in integrals]
            weight = layer.weight.clone()
            weight.view(-1)[fuse(found, self.settings.agnostic_ratio or 0.6)] = 0
            weights[f"{name}.weight"] = weight
        return WeightEdit(weights)


def sections() -> dict[str, dict[str, Method]]:
    """Returns the variants by heading."""
    return {
        "Layers": {name: Ablation(FINDING, layers=name) for name in LAYERS},
        "Score of a connection": {name: Ablation(FINDING, score=name) for name in SCORES},
        "Filter": {name: Ablation(FINDING, selection=name) for name in FILTERS},
        "alpha": {
            "union" if alpha > 1 else f"alpha = {alpha}": FIA(replace(FINDING, agnostic_ratio=alpha))
            for alpha in (0.4, 0.6, 0.8, 1.0, 1.01)
        },
        "First steps T of 50": {f"T = {t}": FIA(replace(FINDING, saliency_steps=t)) for t in (1, 5, 10, 20)},
        "r1": {f"r1 = {r1:.0%}": FIA(replace(FINDING, temporal_ratio=r1)) for r1 in (0.01, 0.05, 0.2)},
        "First term of Eq. 3": {name: FIA(replace(FINDING, magnitude=name)) for name in ("raw", "max")},
        "Prompts of one seed": {
            f"{n} prompt{'s' if n > 1 else ''}": FIA(replace(FINDING, prompts_per_concept=n))
            for n in (*PROMPTS, OF_BENCH["prompts_per_concept"])
        },
        "Guidance while finding": {
            f"{scale:g}" if scale > 1 else "none": FIA(replace(FINDING, guidance_scale=scale)) for scale in (1.0, 7.5)
        },
    }


def measure(out: Path) -> Content:
    """Runs what is missing."""
    bench = Bench(out, WORLD, DRAWING)
    rows = run_variants(bench, sections())
    concepts = [Concept(concept.name) for concept in FIVE.concepts]
    stability = measure_stability(bench.pipe, concepts, PROMPTS, FINDING)
    return {
        "world": asdict(WORLD),
        "finding": asdict(FINDING),
        "rows": rows,
        "stability": [asdict(found) for found in stability],
    }


def run_variants(bench: Bench, variants: Mapping[str, Mapping[str, Method]]) -> dict[str, Scores]:
    """Returns the scores of every variant, by heading and name."""
    rows: dict[str, Scores] = {}
    for heading, own in variants.items():
        methods = {f"{heading}: {name}": method for name, method in own.items()}
        results, _ = bench.run([FIVE], lambda _: methods)  # noqa: B023
        rows |= {name: results[FIVE.name][name] for name in methods}
    return rows


def write_page(content: Content) -> None:
    """Writes docs/ablations.md."""
    settings = f"r2 = {100 * (FINDING.spatial_ratio or 0):g}%, alpha = {FINDING.agnostic_ratio}"
    parts = [
        "# Ablations",
        f"`benchmarks/ablations.py` writes this page. It forgets five objects of the embedded model at {settings}. "
        f"Neurons are found with {FINDING.prompts_per_concept} prompts of one seed each, without guidance; images are "
        f'generated with the prompt "{WORLD.template}". One image of the five objects is 2.5 %. '
        "[ablations.json](ablations.json) has the intervals and every class. [findings.md](findings.md) says what the "
        "numbers mean.",
        "![Still detected, kept and rest, for every variant](ablations.png)",
    ]
    for heading, variants in sections().items():
        rows = {name: content["rows"][f"{heading}: {name}"] for name in variants}
        parts.append(f"## {heading}\n\n{table(rows, {})}")
    lines = ["| prompts | other prompts and seeds % | other base prompts % | by chance % |", f"|{'---|' * 4}"]
    for found in (Stability(**values) for values in content["stability"]):
        shares = f"{found.other_prompts:.1f} | {found.other_bases:.1f} | {found.by_chance:.1f}"
        lines.append(f"| {found.prompts} | {shares} |")
    parts.append(STABILITY + "\n".join(lines))
    with written_whole(DOCS / "ablations.md") as partial:
        partial.write_text("\n\n".join([*parts, LEGEND]) + "\n", encoding="utf-8")


def main() -> None:
    file = DOCS / "ablations.json"
    if folder := folder_given(__doc__):
        with written_whole(file) as partial:
            partial.write_text(json.dumps(measure(folder), indent=1) + "\n", encoding="utf-8")
    write_page(json.loads(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
