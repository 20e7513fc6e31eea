"""Finds the best settings of every method in `fia bench`, on other prompts and seeds than the benchmark's.

Every candidate forgets one, five and ten objects of the embedded model, its styles, smoking, and ten and a hundred
objects of the large world. The settings with the highest Overall belong into `src/fia/bench/chosen_settings.py`. The
page is docs/rivals.md. If you start it again with the same folder, it continues.

    python benchmarks/tune_methods.py runs/tuning
    python benchmarks/tune_methods.py runs/tuning SPEED OCE      # these alone; the page keeps the rows of the others
    python benchmarks/tune_methods.py runs/tuning --task "forget 100 objects of the large world"
    python benchmarks/tune_methods.py                            # writes the page again, with the rows that it has
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

from fia import Concept, NeuronMask, Settings, find
from fia.bench import TASKS, Bench
from fia.bench.chosen_settings import (
    ESD_SETTINGS,
    FOR_FEW,
    FOUND_IN_LARGE,
    OF_FIVE,
    PROMPTS,
    PROMPTS_OF_LARGE,
    SEEDS_OF_SMOKING,
    Prompts,
)
from fia.bench.edit_store import OURS
from fia.bench.questions import World, ask
from fia.bench.report import COLUMNS, LEGEND, cells
from fia.bench.scale import SCALE_TASKS, ScaleBench, ScaleWorld
from fia.bench.scale import ask as ask_of_large
from fia.bench.tasks import BenchTask
from fia.drawing.images import Drawing
from fia.evaluation.records import Scores
from fia.files import slug, written_whole
from fia.methods import ESD, FIA, OCE, RECE, SPEED, UCE, ConceptPrune, DoubleProjections, Method, ScaPre
from fia.methods.double_projections import Safe
from fia.methods.text_embeddings import Positions
from fia.models.half_precision import is_slow
from fia.recommended import FOUND_WITH
from fia.testbed.pretrained import GUIDANCE_SCALE

ROOT = Path(__file__).parent.parent
DOCS, LARGE_WEIGHTS = ROOT / "docs", ROOT / "testbed-large"
SHOWN = ("still detected %", "kept %", "unlisted %", "overall", "seconds")
WORLD = World(images_per_object=8, images_per_other=1, template="a {subject} on a {place}", seed=60_000)
WIDER = replace(WORLD, images_per_object=4, images_per_other=4, images_per_style=10)  # fewer of the ten, more others
DRAWING = Drawing(20, GUIDANCE_SCALE, autocast=not is_slow(torch.device("cpu"), torch.bfloat16))
OF_LARGE = ScaleWorld(forgotten=100, others=30, pairs=30, sharing=0, template="{subject} near a {place}", seed=60_000)
DRAWING_OF_LARGE = Drawing(8, GUIDANCE_SCALE)
SEED = 10_000  # of the prompts that find neurons
FINDING = replace(OF_FIVE, seed=SEED)
MU_OF_ALL = {f"mu = {mu:g}": replace(FOUND_WITH, retain_weight=mu) for mu in (0.75, FOUND_WITH.retain_weight, 3.0)}
UCE_SETTINGS: tuple[tuple[Positions, float, float], ...] = (
    *(("tail", 0.1, 10.0), ("tail", 1.0, 10.0), ("tail", 1.0, 30.0)),
    *(("last", 0.1, 1.0), ("last", 1.0, 0.1), ("last", 1.0, 1.0)),
)
RECE_SETTINGS: tuple[tuple[Positions, float, float, int, float], ...] = (
    *(("tail", 1.0, 10.0, 1, 0.1), ("tail", 1.0, 10.0, 3, 0.1)),
    *(("last", 1.0, 0.1, 1, 0.1), ("last", 1.0, 0.1, 3, 0.1), ("last", 1.0, 0.1, 3, 0.001), ("last", 1.0, 1.0, 3, 0.1)),
)
SPEED_SETTINGS = ((0.1, 1.0, 10), (0.1, 0.05, 10), (0.1, 0.05, 0), (0.01, 0.05, 10), (0.01, 1.0, 10), (1.0, 0.05, 10))
DP_SETTINGS: tuple[tuple[Safe, Positions, int | None], ...] = (
    *(("kept", "last", None), ("guide", "last", None), ("kept", "last", 4)),
    *(("kept", "tail", 16), ("guide", "tail", 16), ("guide", "tail", 32)),
)
OCE_SETTINGS = (
    *((300.0, 1.0, 10.0), (300.0, 20.0, 10.0), (1000.0, 20.0, 10.0)),
    *((2000.0, 1.0, 10.0), (2000.0, 100.0, 10.0), (2000.0, 100.0, 100.0)),
)
SCAPRE_SETTINGS = (
    *((2.0, 8.0, 0.5), (2.0, 2.0, 0.5), (2.0, 1.0, 0.5)),
    *((20.0, 1.0, 0.5), (20.0, 2.0, 0.05), (100.0, 1.0, 0.5)),
)


@lru_cache(maxsize=1)
def found(
    pipe: DiffusionPipeline, concepts: tuple[Concept, ...], keep: tuple[str, ...], settings: Settings
) -> NeuronMask:
    """Returns a mask, the same again for the same arguments."""
    return find(pipe, concepts, settings, keep=keep)


class FoundOnce(FIA):
    """FIA that finds neurons once for any number of mu, and then only solves for the values again."""

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        mask = found(pipe, tuple(concepts), tuple(keep), replace(self.settings, retain_weight=1.0))
        return mask.with_retain_weight(self.settings.retain_weight)


@dataclass(frozen=True)
class Choice:
    """The candidates for a task.

    Attributes:
        task: what to forget.
        world: what to generate.
        fia: r2, alpha (above 1 for the union) and the guidance scale while finding.
        concept_prune: share of a row, and the guidance scale while finding.
        esd_x, esd_u: learning rates.
        seeds_per_prompt: number of seeds for each prompt, for FIA and ConceptPrune.
        prompts_per_concept: number of prompts, for the same.
        rewritten: the settings of FIA rewritten by their labels. By default mu, of the one setting for all tasks.
    """

    task: BenchTask
    world: World | ScaleWorld
    fia: tuple[tuple[float, float, float], ...]
    concept_prune: tuple[tuple[float, float], ...]
    esd_x: tuple[float, ...] = (5e-4, 2e-3)
    esd_u: tuple[float, ...] = (1e-4, 5e-4)
    seeds_per_prompt: int = 1
    prompts_per_concept: int = PROMPTS["prompts_per_concept"]
    rewritten: Mapping[str, Settings] = field(default_factory=lambda: MU_OF_ALL)

    @property
    def name(self) -> str:
        """Name of the task and, if it is not the usual one, of its world."""
        return self.task.name + (" of the large world" if isinstance(self.world, ScaleWorld) else "")

    def candidates(self) -> Iterator[tuple[str, str, Method]]:
        """Yields the name of the method, the label of the candidate, and the candidate."""
        prompts: Prompts = {"prompts_per_concept": self.prompts_per_concept, "seeds_per_prompt": self.seeds_per_prompt}
        for label, settings in self.rewritten.items():
            yield OURS, label, FoundOnce(replace(settings, seed=SEED))
        for r2, alpha, guidance in self.fia:
            settings = replace(FINDING, spatial_ratio=r2, agnostic_ratio=alpha, guidance_scale=guidance, **prompts)
            sparing = "union" if alpha > 1 else f"alpha = {alpha}"
            yield "FIA", f"r2 = {100 * r2:g}%, {sparing}{found_at(guidance)}", FIA(settings)
        for ratio, guidance in self.concept_prune:
            pruning = ConceptPrune(ratio, seed=SEED, guidance_scale=guidance, **prompts)
            yield "ConceptPrune", f"{ratio:.1%} of a row{found_at(guidance)}", pruning
        for positions, scale, ridge in UCE_SETTINGS:
            label = f"{positions}, preserve {scale:g}, ridge {ridge:g}"
            yield "UCE", label, UCE(positions=positions, preserve_scale=scale, ridge=ridge)
        for positions, scale, ridge, rounds, shrinkage in RECE_SETTINGS:
            label = f"{positions}, preserve {scale:g}, ridge {ridge:g}, rounds {rounds}, shrinkage {shrinkage:g}"
            own = RECE(positions=positions, preserve_scale=scale, ridge=ridge, rounds=rounds, shrinkage=shrinkage)
            yield "RECE", label, own
        for threshold, ridge, copies in SPEED_SETTINGS:
            label = f"threshold {threshold:g}, ridge {ridge:g}, copies {copies}"
            yield "SPEED", label, SPEED(threshold=threshold, ridge=ridge, copies=copies)
        for safe, positions, rank in DP_SETTINGS:
            label = f"{positions}, safe {safe}" + (f", rank {rank}" if rank else "")
            yield "DP", label, DoubleProjections(safe=safe, positions=positions, rank=rank)
        for erase, preserve, ordinary in OCE_SETTINGS:
            label = f"erase {erase:g}, preserve {preserve:g}, ordinary {ordinary:g}"
            yield "OCE", label, OCE(erase_scale=erase, preserve_scale=preserve, ordinary_scale=ordinary)
        for erase, power, ridge in SCAPRE_SETTINGS:
            label = f"erase {erase:g}, power {power:g}, ridge {ridge:g}"
            yield "ScaPre", label, ScaPre(erase_scale=erase, power=power, ridge=ridge)
        for rate in self.esd_x:
            yield "ESD-x", f"rate {rate:g}", ESD("x", learning_rate=rate, **ESD_SETTINGS)
        for rate in self.esd_u:
            yield "ESD-u", f"rate {rate:g}", ESD("u", learning_rate=rate, **ESD_SETTINGS)


def found_at(guidance: float) -> str:
    return f", found at guidance {guidance:g}" if guidance > 1 else ""


BY_NAME = {task.name: task for task in TASKS}
REWRITTEN_OF_LARGE = {
    f"feed-forward, all words, ranks 48 and 16, mu = {mu:g}": replace(FOUND_IN_LARGE, retain_weight=mu)
    for mu in (0.2, 0.4, 0.75, 1.5, 3.0)
} | {"both places, the same, mu = 0.75": replace(FOUND_IN_LARGE, sites="both", retain_weight=0.75)}
OF_LARGE_ALIKE: dict[str, Any] = {
    "esd_x": (),
    "esd_u": (),
    "prompts_per_concept": PROMPTS_OF_LARGE,
    "rewritten": REWRITTEN_OF_LARGE,
}
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
    Choice(
        SCALE_TASKS[1],
        replace(OF_LARGE, forgotten=50, pairs=0),
        tuple((r2, 0.8, 1.0) for r2 in (0.015, 0.025, 0.05)),
        ((0.01, 1.0), (0.02, 1.0), (0.05, 1.0)),
        **OF_LARGE_ALIKE,
    ),
    Choice(SCALE_TASKS[-1], OF_LARGE, fia=(), concept_prune=(), **OF_LARGE_ALIKE),
)


INTRO = (
    f'`benchmarks/tune_methods.py` writes this page. It runs the benchmark with other prompts ("{WORLD.template}", '
    f'and "{OF_LARGE.template}" on the large world) and seeds. `fia bench` uses the settings of each method with the '
    "highest Overall. They are in bold; if two are equal, the one that keeps more of the rest wins. The settings for "
    "ten objects also serve for more objects and for several kinds, and on the large world for up to fifty objects; "
    "what was not tuned for two objects has the settings for one. FIA and ConceptPrune find neurons with the same "
    "prompts, on other seeds than in the benchmark, and without guidance unless the row names it. Rows of FIA "
    "rewritten that differ in mu alone share their neurons, and the first of them has the seconds of finding them. "
    "For one object alpha makes no difference, so FIA takes the alpha of two objects. If a bold row is at the end of "
    "its grid, values beyond the grid might be better. A method without rows in a table was not tuned for that task. "
    "Images of the rows of SPEED, DP, OCE and ScaPre for the small world were generated in bfloat16 (`--autocast`)."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where to measure; without it, only the page is written")
    parser.add_argument("--task", choices=[choice.name for choice in CHOICES], help="this task alone")
    parser.add_argument("methods", nargs="*", default=list(FOR_FEW), metavar="METHOD", help="all by default")
    options = parser.parse_args()
    write_page({})
    for choice in CHOICES if options.folder else ():
        if options.task not in (None, choice.name):
            continue
        write_page({choice.name: measured_rows(choice, options.folder, options.methods)})


def write_page(measured: Mapping[str, Mapping[str, str]]) -> None:
    """Writes docs/rivals.md, with new rows for some tasks, and for all others those that it has."""
    page = DOCS / "rivals.md"
    known = read_rows(page.read_text(encoding="utf-8"))
    parts = ["# How the settings of every method were chosen", INTRO]
    for choice in CHOICES:
        rows = {**known.get(choice.name, {}), **measured.get(choice.name, {})}
        parts.append(section(choice, rows))
    with written_whole(page) as partial:
        partial.write_text("\n\n".join([*parts, LEGEND]) + "\n", encoding="utf-8")


def read_rows(page: str) -> dict[str, dict[str, str]]:
    """Returns the rows of the page: by the task, and by the label of the candidate."""
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    return {
        task: {match[1]: match[0] for match in re.finditer(r"^\| ([^|]+) \| .*$", text, flags=re.MULTILINE)}
        for task, text in sections.items()
    }


def measured_rows(choice: Choice, out: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Runs the candidates of some methods for one task; returns their rows, with the best of each method in bold."""
    folder = out / slug(choice.name)
    if isinstance(choice.world, ScaleWorld):
        bench: Bench = ScaleBench(folder, choice.world, DRAWING_OF_LARGE, LARGE_WEIGHTS)
    else:
        bench = Bench(folder, choice.world, DRAWING)
    candidates = {f"{name}, {label}": (name, own) for name, label, own in choice.candidates() if name in wanted}
    results, costs = bench.run([choice.task], lambda _: {label: method for label, (_, method) in candidates.items()})
    scores, cost = results[choice.task.name], costs[choice.task.name]
    best: dict[str, str] = {}
    for label, (name, _) in candidates.items():
        if name not in best or rank(scores[label]) > rank(scores[best[name]]):
            best[name] = label
    rows = {}
    for label in candidates:
        row = dict(zip(COLUMNS, cells(scores[label], cost[label]), strict=True))
        row["overall"] = f"**{row['overall']}**" if label in best.values() else row["overall"]
        rows[label] = f"| {label} | {' | '.join(row[column] for column in SHOWN)} |"
    return rows


def section(choice: Choice, rows: Mapping[str, str]) -> str:
    """Returns the section of a task, with the rows of the candidates that were measured."""
    if isinstance(choice.world, ScaleWorld):
        asked = [question for question in ask_of_large(choice.task, choice.world) if not question.variant]
    else:
        asked = ask(choice.world, choice.task.concepts, choice.task.keep)
    number = sum(question.group == "forgotten" for question in asked)
    noise = f"There are {number} images of forgotten concepts, so one image is {100 / number:.1f} %."
    labels = [f"{name}, {label}" for name, label, _ in choice.candidates()]
    lines = [f"| | {' | '.join(SHOWN)} |", f"|{'---|' * 6}", *(rows[label] for label in labels if label in rows)]
    return f"## {choice.name}\n\n{noise}\n\n" + "\n".join(lines)


def rank(scores: Scores) -> tuple[float, float]:
    """Returns the sort key of a candidate: Overall, then the rest."""
    rest = scores["rest"]
    return scores["overall"] or 0.0, rest["percent"] if rest else 0.0


if __name__ == "__main__":
    main()
