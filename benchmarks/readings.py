"""Three readings of FIA side by side, on as many weights: the paper, the authors' code, and this package.

Each reading forgets five objects of the embedded model. r2 is chosen for each so that the same share of the
feed-forwards' weights changes. Two more readings change one choice of the paper's, and are compared by their neurons
alone. It writes docs/readings.md and .json. If you start it again with the same folder, it continues.

    python benchmarks/readings.py runs/readings
    python benchmarks/readings.py                   # writes the page from the JSON file
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from ablations import SCORES
from candidates import DRAWING, SEED, WORLD
from command import folder_given
from diffusers import DiffusionPipeline
from torch import Tensor
from tune_methods import DOCS

from fia import Concept, NeuronMask, Settings, find
from fia.bench import TASKS, Bench
from fia.bench.report import LEGEND, table
from fia.edits.weight_edit import WeightEdit
from fia.files import written_whole
from fia.finding.authors_code import select_as_authors_code
from fia.finding.collect import collect_statistics
from fia.finding.neurons import TemporalIntegral, select_neurons
from fia.finding.plan import plan_finding
from fia.finding.progress import Progress
from fia.masks.fusion import fuse
from fia.methods import FIA, Method
from fia.recommended import FOUND_WITH

SHARE = 0.08  # of the weights of the feed-forwards' second linears
HALVINGS = 12  # of the range of r2
SMALL = replace(WORLD, images_per_object=2)
PAPER = Settings(mode="paper", seed=SEED)
READINGS = {
    "paper, 5 prompts": PAPER,
    "paper, 30 prompts": replace(PAPER, prompts_per_concept=30),
    "authors' code": Settings(mode="authors-code"),
}
OURS = replace(FOUND_WITH, seed=SEED, sites="feed-forward")
CHANGED = {  # the settings and the score
    "paper, 5 prompts, first term over its largest": (replace(PAPER, magnitude="max"), "Eq. 1"),
    "paper, 5 prompts, no cosine": (PAPER, "|W| ||X||"),
}
Neurons = dict[str, list[Tensor]]  # flat indices of each concept, by layer


@cache
def measured(pipe: DiffusionPipeline, settings: Settings, score: str) -> dict[str, list[TemporalIntegral]]:
    """Returns the sums for Eq. 3 of each of the five objects, by layer."""
    plan = plan_finding(pipe, [concept.name for concept in TASKS[0].concepts], settings)
    with Progress(plan.steps_of_group, shown=False) as steps:
        statistics, _ = collect_statistics(plan, plan.layers, plan.pairs, steps, SCORES[score])
    return {name: sums.integrals for name, sums in statistics.layers.items()}


def neurons_of(pipe: DiffusionPipeline, settings: Settings, score: str = "Eq. 1") -> tuple[Neurons, float]:
    """Returns the neurons of the five objects for the r2 that changes the share of weights; and that r2."""
    integrals = measured(pipe, replace(settings, magnitude=None), score)
    select = select_as_authors_code if settings.as_authors_code else select_neurons
    magnitude = settings.resolved(0.6).magnitude
    assert magnitude is not None
    aggregated = {name: [own.aggregate(magnitude) for own in values] for name, values in integrals.items()}
    size, low, high = sum(values[0].numel() for values in aggregated.values()), 0.0, 0.5
    found: Neurons = {}
    for _ in range(HALVINGS):
        ratio = (low + high) / 2
        found = {name: [select(own, ratio).int() for own in values] for name, values in aggregated.items()}
        changed = sum(map(len, fused_neurons(found, settings).values()))
        low, high = (ratio, high) if changed < SHARE * size else (low, ratio)
    return found, ratio


def fused_neurons(neurons: Neurons, settings: Settings) -> dict[str, Tensor]:
    """Returns the flat indices of what is changed in each layer."""
    smallest, alpha = (1 if settings.as_authors_code else 2), settings.agnostic_ratio
    return {name: fuse(own, 0.6 if alpha is None else alpha, smallest) for name, own in neurons.items()}


def same_percent(one: Neurons, other: Neurons) -> float:
    """Returns the mean over concepts of the IoU of their neurons, in percent."""
    concepts = len(next(iter(one.values())))
    shares = []
    for i in range(concepts):
        both = [(set(one[name][i].tolist()), set(other[name][i].tolist())) for name in one]
        shares.append(sum(len(a & b) for a, b in both) / sum(len(a | b) for a, b in both))
    return 100 * sum(shares) / concepts


@dataclass(frozen=True)
class Zeroed:
    """The feed-forwards with zeros in the neurons of a reading."""

    settings: Settings
    paper: ClassVar[str] = FIA.paper

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the pruned weights."""
        neurons, _ = neurons_of(pipe, self.settings)
        weights = {}
        for name, indices in fused_neurons(neurons, self.settings).items():
            weight = pipe.unet.get_submodule(name).weight.detach().clone()
            weight.view(-1)[indices] = 0
            weights[f"{name}.weight"] = weight
        return WeightEdit(weights)


@dataclass(frozen=True)
class Rewritten:
    """This package: new values in the feed-forwards, at the r2 of the paper's reading, told what to keep."""

    settings: Settings
    paper: ClassVar[str] = FIA.paper

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask."""
        _, ratio = neurons_of(pipe, READINGS["paper, 30 prompts"])
        return find(pipe, concepts, replace(self.settings, spatial_ratio=ratio), keep=keep)


def measure(out: Path) -> dict[str, Any]:
    """Runs what is missing."""
    bench, task = Bench(out, SMALL, DRAWING), TASKS[0]
    methods: dict[str, Method] = {name: Zeroed(settings) for name, settings in READINGS.items()}
    methods["this package"] = Rewritten(OURS)
    results, _ = bench.run([task], lambda _: methods)
    found = {name: neurons_of(bench.pipe, settings) for name, settings in READINGS.items()}
    found |= {name: neurons_of(bench.pipe, settings, score) for name, (settings, score) in CHANGED.items()}
    neurons = {
        name: {"r2": ratio, "same": {other: same_percent(own, found[other][0]) for other in READINGS}}
        for name, (own, ratio) in found.items()
    }
    alone = [own[0] for own in found["authors' code"][0].values()]  # the first object, layer by layer
    return {
        "world": asdict(SMALL),
        "rows": results[task.name],
        "neurons": neurons,
        "one_concept": {
            "name": task.concepts[0].name,
            "neurons": sum(map(len, alone)),
            "pruned": sum(len(fuse([own], 0.6, smallest=1)) for own in alone),
        },
    }


def write_page() -> None:
    """Writes docs/readings.md from the JSON file."""
    content = json.loads((DOCS / "readings.json").read_text(encoding="utf-8"))
    alone = content["one_concept"]
    lines = [f"| | r2 % | {' | '.join(f'as {name}, %' for name in READINGS)} |", f"|{'---|' * (2 + len(READINGS))}"]
    for name, own in content["neurons"].items():
        shares = " | ".join(f"{own['same'][other]:.0f}" for other in READINGS)
        lines.append(f"| {name} | {100 * own['r2']:.1f} | {shares} |")
    number = 5 * SMALL.images_per_object
    parts = [
        "# Three readings of FIA",
        "`benchmarks/readings.py` writes this page. It forgets five objects of the embedded model as the paper says, "
        "as [the authors' code](method.md#the-authors-code) does, and as this package does, which gives the neurons "
        f"new values. Each changes about {SHARE:.0%} of the weights of the feed-forwards' second linears, and r2 is "
        f'chosen for that. Images are generated with the prompt "{WORLD.template}". There are {number} images of the '
        f"five objects, so one is {100 / number:g} %: too few to order readings whose intervals overlap. "
        "[readings.json](readings.json) has every class.",
        table(content["rows"], {}),
        "## Which choices matter",
        "How many of a concept's neurons two readings share (intersection over union, mean over the five):",
        "\n".join(lines),
        "## One concept",
        f"The authors' code finds {alone['neurons']:,} neurons for the {alone['name']}. Forgotten alone, it prunes "
        f"{alone['pruned']} of them: its threshold ⌈0.6 · 1⌉ is 1, and every neuron has one claim. So its released "
        'script for the single concept "naked" changes nothing either.',
        LEGEND,
    ]
    with written_whole(DOCS / "readings.md") as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    if folder := folder_given(__doc__):
        torch.set_num_threads(1)
        with written_whole(DOCS / "readings.json") as partial:
            partial.write_text(json.dumps(measure(folder), indent=1) + "\n", encoding="utf-8")
    write_page()


if __name__ == "__main__":
    main()
