"""Chooses the settings of every method that `fia bench` compares, on prompts and seeds of their own.

Every candidate forgets one, five and ten objects of the embedded model, its styles, and smoking; those with the
highest Overall are to stand in `src/fia/bench/chosen_settings.py`. Writes docs/rivals.md. Goes on where it stopped,
with the same folder.

    python benchmarks/tune_methods.py runs/tuning
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fia.bench import TASKS, Bench
from fia.bench.chosen_settings import ESD_SETTINGS, OF_FIVE, PROMPTS, SEEDS_OF_SMOKING, Prompts
from fia.bench.questions import World
from fia.bench.report import LEGEND, cells
from fia.bench.tasks import BenchTask
from fia.drawing.images import Drawing
from fia.evaluation.records import Scores
from fia.evaluation.run import UNTOUCHED
from fia.files import slug, written_whole
from fia.methods import ESD, FIA, RECE, UCE, ConceptPrune, Method
from fia.methods.uce import Positions
from fia.testbed.pretrained import GUIDANCE_SCALE

DOCS = Path(__file__).parent.parent / "docs"
WORLD = World(images_per_object=8, images_per_other=1, template="a {subject} on a {place}", seed=60_000)
WIDER = replace(WORLD, images_per_object=4, images_per_other=4, images_per_style=10)  # fewer of the ten, more others
DRAWING = Drawing(num_inference_steps=20, guidance_scale=GUIDANCE_SCALE)
FINDING = replace(OF_FIVE, seed=10_000)
UCE_SETTINGS: tuple[tuple[Positions, float, float], ...] = (
    *(("tail", 0.1, 10.0), ("tail", 1.0, 10.0), ("tail", 1.0, 30.0)),
    *(("last", 0.1, 1.0), ("last", 1.0, 0.1), ("last", 1.0, 1.0)),
)
RECE_SETTINGS: tuple[tuple[Positions, float, float, int, float], ...] = (
    *(("tail", 1.0, 10.0, 1, 0.1), ("tail", 1.0, 10.0, 3, 0.1)),
    *(("last", 1.0, 0.1, 1, 0.1), ("last", 1.0, 0.1, 3, 0.1), ("last", 1.0, 0.1, 3, 0.001), ("last", 1.0, 1.0, 3, 0.1)),
)


@dataclass(frozen=True)
class Choice:
    """What is tried for a task.

    Attributes:
        task: what is forgotten.
        world: what is generated.
        fia, concept_prune: r2 and alpha (above 1, the union); the share of a row. Either with the guidance scale of
            finding last.
        seeds_per_prompt: seeds that both find with.
        esd_x, esd_u: learning rates.
    """

    task: BenchTask
    world: World
    fia: tuple[tuple[float, float, float], ...]
    concept_prune: tuple[tuple[float, float], ...]
    esd_x: tuple[float, ...] = (5e-4, 2e-3)
    esd_u: tuple[float, ...] = (1e-4, 5e-4)
    seeds_per_prompt: int = 1

    def candidates(self) -> Iterator[tuple[str, str, Method]]:
        """Gives the name of the method, what sets the candidate apart, and the candidate."""
        prompts: Prompts = {**PROMPTS, "seeds_per_prompt": self.seeds_per_prompt}
        for r2, alpha, guidance in self.fia:
            settings = replace(FINDING, spatial_ratio=r2, agnostic_ratio=alpha, guidance_scale=guidance, **prompts)
            sparing = "union" if alpha > 1 else f"alpha = {alpha}"
            yield "FIA", f"r2 = {100 * r2:g}%, {sparing}{found_at(guidance)}", FIA(settings)
        for ratio, guidance in self.concept_prune:
            pruning = ConceptPrune(ratio, seed=FINDING.seed, guidance_scale=guidance, **prompts)
            yield "ConceptPrune", f"{ratio:.1%} of a row{found_at(guidance)}", pruning
        for positions, scale, ridge in UCE_SETTINGS:
            label = f"{positions}, preserve {scale:g}, ridge {ridge:g}"
            yield "UCE", label, UCE(positions=positions, preserve_scale=scale, ridge=ridge)
        for positions, scale, ridge, rounds, shrinkage in RECE_SETTINGS:
            label = f"{positions}, preserve {scale:g}, ridge {ridge:g}, rounds {rounds}, shrinkage {shrinkage:g}"
            own = RECE(positions=positions, preserve_scale=scale, ridge=ridge, rounds=rounds, shrinkage=shrinkage)
            yield "RECE", label, own
        for rate in self.esd_x:
            yield "ESD-x", f"rate {rate:g}", ESD("x", learning_rate=rate, **ESD_SETTINGS)
        for rate in self.esd_u:
            yield "ESD-u", f"rate {rate:g}", ESD("u", learning_rate=rate, **ESD_SETTINGS)


def found_at(guidance: float) -> str:
    return f", found at guidance {guidance:g}" if guidance > 1 else ""


BY_NAME = {task.name: task for task in TASKS}
OF_OBJECTS = (
    *((r2, 0.8, 1.0) for r2 in (0.02, 0.025, 0.03, 0.04, 0.05, 0.07)),
    *((r2, 1.01, 1.0) for r2 in (0.02, 0.03, 0.04)),
    *((0.03, 1.01, 7.5), (0.05, 1.01, 7.5)),
)
OF_ROWS = (*((ratio, 7.5) for ratio in (0.005, 0.01, 0.02, 0.05)), (0.02, 1.0), (0.05, 1.0))
CHOICES = (
    *(
        Choice(BY_NAME[name], WORLD, OF_OBJECTS, OF_ROWS, esd_x=(1e-4, 5e-4), esd_u=(3e-5, 1e-4, 5e-4))
        for name in ("forget 5 objects", "forget 10 objects")
    ),
    Choice(
        BY_NAME["forget 1 object"],
        WORLD,
        tuple((r2, 0.8, 1.0) for r2 in (0.03, 0.05, 0.07, 0.1)),
        ((0.02, 7.5), (0.05, 7.5), (0.1, 7.5), (0.1, 1.0)),
    ),
    Choice(
        BY_NAME["forget 2 objects"],
        WORLD,
        tuple((r2, alpha, 1.0) for r2 in (0.05, 0.07, 0.1) for alpha in (0.8, 1.01)),
        concept_prune=(),
        esd_x=(),
        esd_u=(),
    ),
    Choice(
        BY_NAME["forget all styles"],
        WIDER,
        (*((r2, alpha, 1.0) for r2 in (0.05, 0.1, 0.2) for alpha in (0.8, 1.01)), (0.2, 1.01, 7.5)),
        ((0.05, 7.5), (0.1, 7.5), (0.2, 7.5), (0.2, 1.0)),
    ),
    Choice(
        BY_NAME["forget smoking"],
        WIDER,
        (*((r2, 0.8, 1.0) for r2 in (0.05, 0.1, 0.15, 0.2)), (0.15, 0.8, 7.5)),
        ((0.05, 7.5), (0.1, 7.5), (0.2, 7.5), (0.2, 1.0)),
        seeds_per_prompt=SEEDS_OF_SMOKING,
    ),
)


INTRO = (
    f'Written by `benchmarks/tune_methods.py` on the embedded model: prompts "{WORLD.template}" and seeds that the '
    "benchmark does not use, everything else as there. `fia bench` uses the settings with the highest Overall of each "
    "method (in bold; among equals, those that keep more of the rest): those of one object for one and two, those of "
    "five for five, those of ten for more and for several kinds, and those of the styles and of smoking for these. FIA "
    "and ConceptPrune find with the same prompts, on other seeds than in the benchmark, and without guidance unless it "
    "is named. Alpha has no meaning for one object; FIA takes that of two. If a bold row is at an end of its grid, "
    "more of the same might do better."
)


def main() -> None:
    parts = ["# How the settings of every method were chosen", INTRO]
    for choice in CHOICES:
        parts.append(section(choice, Path(sys.argv[1])))
        with written_whole(DOCS / "rivals.md") as partial:
            partial.write_text("\n\n".join([*parts, LEGEND]) + "\n", encoding="utf-8")


def section(choice: Choice, out: Path) -> str:
    """Runs the candidates for one task; returns their table, the best of each method in bold."""
    bench = Bench(out / slug(choice.task.name), choice.world, DRAWING)
    candidates = {f"{name}, {label}": (name, method) for name, label, method in choice.candidates()}
    results, costs = bench.run([choice.task], lambda _: {label: method for label, (_, method) in candidates.items()})
    scores, cost = results[choice.task.name], costs[choice.task.name]
    best: dict[str, str] = {}
    for label, (name, _) in candidates.items():
        if name not in best or rank(scores[label]) > rank(scores[best[name]]):
            best[name] = label
    lines = ["| | still detected % | kept % | rest % | overall | seconds |", f"|{'---|' * 6}"]
    for label in candidates:
        row = cells(scores[label], cost[label])
        row[3] = f"**{row[3]}**" if label in best.values() else row[3]
        lines.append(f"| {label} | {' | '.join((*row[:4], row[-2]))} |")
    forgotten = scores[UNTOUCHED]["still_detected"]
    assert forgotten is not None
    noise = f"One image of the {forgotten['number']} of what is forgotten is {100 / forgotten['number']:.1f} %."
    return f"## {choice.task.name}\n\n{noise}\n\n" + "\n".join(lines)


def rank(scores: Scores) -> tuple[float, float]:
    """Returns what is compared to find the best: Overall, then the rest."""
    rest = scores["rest"]
    return scores["overall"] or 0.0, rest["percent"] if rest else 0.0


if __name__ == "__main__":
    main()
