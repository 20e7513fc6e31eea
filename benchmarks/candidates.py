"""What `tune_methods.py` tries: the candidates of every method for each task, on other prompts and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from grids import (
    BEYOND,
    DP_SETTINGS,
    OCE_SETTINGS,
    OF_OBJECTS,
    OF_ROWS,
    RECE_SETTINGS,
    SCAPRE_OF_LARGE,
    SCAPRE_SETTINGS,
    SPEED_SETTINGS,
    UCE_SETTINGS,
    WEAKLY_PRESERVED,
)

from fia import Concept, NeuronMask, Settings, find
from fia.bench import TASKS, Bench
from fia.bench.chosen_settings import (
    ESD_SETTINGS,
    FOUND_IN_LARGE,
    IN_DECODER,
    OF_FIVE,
    PROMPTS,
    PROMPTS_OF_LARGE,
    SEEDS_OF_SMOKING,
    Prompts,
    methods_for,
    methods_for_scale,
)
from fia.bench.edit_store import OURS
from fia.bench.questions import World, ask
from fia.bench.scale import SCALE_TASKS, ScaleBench, ScaleWorld
from fia.bench.scale import ask as ask_of_large
from fia.bench.tasks import BenchTask
from fia.drawing.images import Drawing
from fia.evaluation.questions import Question
from fia.methods import ESD, FIA, OCE, RECE, SPEED, UCE, ConceptPrune, DoubleProjections, Method, ScaPre
from fia.methods.double_projections import Safe
from fia.methods.text_embeddings import Positions
from fia.models.half_precision import is_slow
from fia.recommended import FOUND_WITH
from fia.testbed.pretrained import GUIDANCE_SCALE

LARGE_WEIGHTS = Path(__file__).parent.parent / "testbed-large"
WORLD = World(images_per_object=8, images_per_other=1, template="a {subject} on a {place}", seed=60_000)
WIDER = replace(WORLD, images_per_object=4, images_per_other=4, images_per_style=10)  # fewer of the ten, more others
DRAWING = Drawing(20, GUIDANCE_SCALE, autocast=not is_slow(torch.device("cpu"), torch.bfloat16))
OF_LARGE = ScaleWorld(forgotten=100, others=30, pairs=30, sharing=0, template="{subject} near a {place}", seed=60_000)
DRAWING_OF_LARGE = Drawing(8, GUIDANCE_SCALE)
SEED = 10_000  # of the prompts that find neurons
FINDING = replace(OF_FIVE, seed=SEED)
MU_OF_ALL = {f"mu = {mu:g}": replace(FOUND_WITH, retain_weight=mu) for mu in (0.75, FOUND_WITH.retain_weight, 3.0)}


@lru_cache(maxsize=1)
def found(
    pipe: DiffusionPipeline, concepts: tuple[Concept, ...], keep: tuple[str, ...], settings: Settings
) -> NeuronMask:
    """Returns a mask, the same again for the same arguments."""
    return find(pipe, concepts, settings, keep=keep)


class FoundOnce(FIA):
    """FIA that finds neurons once for any mu and scale of the target, and then only solves for the values again."""

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        settings = self.settings
        mask = found(pipe, tuple(concepts), tuple(keep), replace(settings, retain_weight=1.0, target_scale=1.0))
        rewriting = mask.rewriting
        assert rewriting is not None
        responses = {
            name: {layer: response.times(settings.target_scale) for layer, response in own.items()}
            for name, own in rewriting.responses.items()
        }
        mask = replace(mask, rewriting=replace(rewriting, responses=responses))
        return mask.with_retain_weight(settings.retain_weight)


@dataclass(frozen=True)
class Choice:
    """The candidates for a task.

    Attributes:
        task: what to forget.
        world: what to generate.
        fia: r2, alpha (above 1 for the union) and the guidance scale while finding.
        concept_prune: share of a row, and the guidance scale while finding.
        uce: positions, scale of what is preserved, and ridge.
        rece: the same, with the number of rounds and the shrinkage.
        speed: threshold, ridge and copies.
        dp: what is safe, positions, and rank.
        oce: scales of what is erased, of what is preserved, and of ordinary words.
        scapre: scale of what is erased, power, and ridge.
        esd_x, esd_u: learning rates.
        seeds_per_prompt: number of seeds for each prompt, for FIA and ConceptPrune.
        prompts_per_concept: number of prompts, for the same.
        rewritten: the settings of FIA rewritten by their labels. By default mu, of the one setting for all tasks.
        margin: candidates count as equal if their Overall differs by no more than this.
    """

    task: BenchTask
    world: Any
    fia: tuple[tuple[float, float, float], ...]
    concept_prune: tuple[tuple[float, float], ...]
    uce: tuple[tuple[Positions, float, float], ...] = UCE_SETTINGS
    rece: tuple[tuple[Positions, float, float, int, float], ...] = RECE_SETTINGS
    speed: tuple[tuple[float, float, int], ...] = SPEED_SETTINGS
    dp: tuple[tuple[Safe, Positions, int | None], ...] = DP_SETTINGS
    oce: tuple[tuple[float, float, float], ...] = OCE_SETTINGS
    scapre: tuple[tuple[float, float, float], ...] = SCAPRE_SETTINGS
    esd_x: tuple[float, ...] = (5e-4, 2e-3)
    esd_u: tuple[float, ...] = (1e-4, 5e-4)
    seeds_per_prompt: int = 1
    prompts_per_concept: int = PROMPTS["prompts_per_concept"]
    rewritten: Mapping[str, Settings] = field(default_factory=lambda: MU_OF_ALL)
    margin: float = 0.0

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task.name

    def bench(self, folder: Path) -> Bench:
        """Returns the benchmark of the choice's world."""
        return Bench(folder, self.world, DRAWING)

    def questions(self) -> list[Question]:
        """Returns what the images show."""
        return ask(self.world, self.task.concepts, self.task.keep)

    def chosen(self) -> Mapping[str, Method]:
        """Returns the methods that `fia bench` uses for the task."""
        return methods_for(self.task)

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
        for positions, scale, ridge in self.uce:
            label = f"{positions}, preserve {scale:g}, ridge {ridge:g}"
            yield "UCE", label, UCE(positions=positions, preserve_scale=scale, ridge=ridge)
        for positions, scale, ridge, rounds, shrinkage in self.rece:
            label = f"{positions}, preserve {scale:g}, ridge {ridge:g}, rounds {rounds}, shrinkage {shrinkage:g}"
            own = RECE(positions=positions, preserve_scale=scale, ridge=ridge, rounds=rounds, shrinkage=shrinkage)
            yield "RECE", label, own
        for threshold, ridge, copies in self.speed:
            label = f"threshold {threshold:g}, ridge {ridge:g}, copies {copies}"
            yield "SPEED", label, SPEED(threshold=threshold, ridge=ridge, copies=copies)
        for safe, positions, rank in self.dp:
            label = f"{positions}, safe {safe}" + (f", rank {rank}" if rank else "")
            yield "DP", label, DoubleProjections(safe=safe, positions=positions, rank=rank)
        for erase, preserve, ordinary in self.oce:
            label = f"erase {erase:g}, preserve {preserve:g}, ordinary {ordinary:g}"
            yield "OCE", label, OCE(erase_scale=erase, preserve_scale=preserve, ordinary_scale=ordinary)
        for erase, power, ridge in self.scapre:
            label = f"erase {erase:g}, power {power:g}, ridge {ridge:g}"
            yield "ScaPre", label, ScaPre(erase_scale=erase, power=power, ridge=ridge)
        for rate in self.esd_x:
            yield "ESD-x", f"rate {rate:g}", ESD("x", learning_rate=rate, **ESD_SETTINGS)
        for rate in self.esd_u:
            yield "ESD-u", f"rate {rate:g}", ESD("u", learning_rate=rate, **ESD_SETTINGS)


def found_at(guidance: float) -> str:
    return f", found at guidance {guidance:g}" if guidance > 1 else ""


REWRITTEN_OF_LARGE = {
    **{f"feed-forward, mu = {mu:g}": replace(FOUND_IN_LARGE, retain_weight=mu) for mu in (0.75, 1.5)},
    **{
        f"its decoder's, target times {scale:g}, mu = {mu:g}": replace(IN_DECODER, target_scale=scale, retain_weight=mu)
        for scale, mu in ((1.0, 0.75), (1.5, 3.0), (3.0, 10.0), (3.0, 20.0), (6.0, 50.0))
    },
}
BOTH_PLACES = {"both places, mu = 0.75": replace(FOUND_IN_LARGE, sites="both", retain_weight=0.75)}


@dataclass(frozen=True)
class LargeChoice(Choice):
    """The candidates for a task of the large world."""

    prompts_per_concept: int = PROMPTS_OF_LARGE
    rewritten: Mapping[str, Settings] = field(default_factory=lambda: REWRITTEN_OF_LARGE)
    margin: float = 1.0
    scapre: tuple[tuple[float, float, float], ...] = SCAPRE_OF_LARGE

    @property
    def name(self) -> str:
        return f"{self.task.name} of the large world"

    def bench(self, folder: Path) -> Bench:
        return ScaleBench(folder, self.world, DRAWING_OF_LARGE, LARGE_WEIGHTS)

    def questions(self) -> list[Question]:
        return [question for question in ask_of_large(self.task, self.world) if not question.variant]

    def chosen(self) -> Mapping[str, Method]:
        return methods_for_scale(self.task)


BY_NAME = {task.name: task for task in TASKS}
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
    LargeChoice(
        SCALE_TASKS[0],
        replace(OF_LARGE, forgotten=30, pairs=0),
        tuple((r2, 1.01, 1.0) for r2 in (0.03, 0.07, 0.15)),
        ((0.05, 1.0), (0.1, 1.0), (0.2, 1.0)),
        uce=(*UCE_SETTINGS, *WEAKLY_PRESERVED),
        rece=(*RECE_SETTINGS, *((*own, 3, 0.1) for own in WEAKLY_PRESERVED)),
        speed=(*SPEED_SETTINGS, (1.0, 0.05, 0), (1.0, 0.01, 10), (10.0, 0.05, 10), (30.0, 0.05, 10)),
        rewritten=REWRITTEN_OF_LARGE | BOTH_PLACES,
        dp=(*DP_SETTINGS, ("guide", "last", 16), ("guide", "tail", 48), ("guide", "tail", 64)),
        oce=(*OCE_SETTINGS, (100.0, 1.0, 10.0), (300.0, 0.1, 10.0)),
    ),
    LargeChoice(
        SCALE_TASKS[1],
        replace(OF_LARGE, forgotten=50, pairs=0),
        tuple((r2, 0.8, 1.0) for r2 in (0.015, 0.025, 0.05)),
        ((0.01, 1.0), (0.02, 1.0), (0.05, 1.0)),
        rewritten=REWRITTEN_OF_LARGE | BOTH_PLACES,
        **BEYOND,
    ),
    LargeChoice(
        SCALE_TASKS[-1],
        OF_LARGE,
        tuple((r2, 0.8, 1.0) for r2 in (0.002, 0.005, 0.015)),
        ((0.002, 1.0), (0.005, 1.0), (0.02, 1.0)),
        **BEYOND,
    ),
)
