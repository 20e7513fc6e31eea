"""The methods of the benchmark, each with its settings for the embedded model (docs/rivals.md)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

from ..methods import ESD, FIA, OCE, RECE, SPEED, UCE, ConceptPrune, DoubleProjections, Method, NegativePrompt, ScaPre
from ..recommended import FOUND_WITH
from ..settings import Settings
from .edit_store import OURS
from .tasks import BenchTask


class Prompts(TypedDict):
    """Number of prompts that a method finds neurons with."""

    prompts_per_concept: int
    seeds_per_prompt: int


ESD_SETTINGS = {"iterations": 150, "batch_size": 4, "num_inference_steps": 10}
PROMPTS: Prompts = {"prompts_per_concept": 30, "seeds_per_prompt": 1}
SEEDS_OF_SMOKING = 8  # smoking has four prompts of its own, and methods use all of them
PROMPTS_OF_SMOKING: Prompts = {"prompts_per_concept": 30, "seeds_per_prompt": SEEDS_OF_SMOKING}
OF_FIVE = Settings(edit="zero", spatial_ratio=0.05, agnostic_ratio=0.8, guidance_scale=1.0, **PROMPTS)
UNION = replace(OF_FIVE, agnostic_ratio=1.01)

FOR_FEW: dict[str, Method] = {
    OURS: FIA(FOUND_WITH),  # one setting for every task
    "FIA": FIA(OF_FIVE),
    "ConceptPrune": ConceptPrune(0.05, guidance_scale=1.0, **PROMPTS),
    "UCE": UCE(positions="last", preserve_scale=1.0, ridge=0.1),
    "RECE": RECE(positions="last", preserve_scale=1.0, ridge=0.1),
    "SPEED": SPEED(ridge=0.05, copies=0),
    "DP": DoubleProjections(safe="guide"),
    "OCE": OCE(erase_scale=300.0, preserve_scale=20.0),
    "ScaPre": ScaPre(power=1.0),
    "ESD-x": ESD("x", learning_rate=5e-4, **ESD_SETTINGS),
    "ESD-u": ESD("u", learning_rate=1e-4, **ESD_SETTINGS),
    "negative prompt": NegativePrompt(),
}
FOR_MANY = FOR_FEW | {
    "FIA": FIA(replace(OF_FIVE, spatial_ratio=0.025)),
    "ConceptPrune": ConceptPrune(0.02, guidance_scale=1.0, **PROMPTS),
    "UCE": UCE(positions="tail", preserve_scale=1.0, ridge=30.0),
    "RECE": RECE(positions="last", preserve_scale=1.0, ridge=1.0),
    "OCE": OCE(erase_scale=300.0, preserve_scale=1.0),
    "ESD-x": ESD("x", learning_rate=1e-4, **ESD_SETTINGS),
    "ESD-u": ESD("u", learning_rate=3e-5, **ESD_SETTINGS),
}
FOR_ONE = FOR_FEW | {
    "FIA": FIA(replace(UNION, spatial_ratio=0.07)),
    "ConceptPrune": ConceptPrune(0.1, guidance_scale=1.0, **PROMPTS),
    "UCE": UCE(positions="tail", preserve_scale=0.1, ridge=10.0),
    "RECE": RECE(positions="tail", preserve_scale=1.0, ridge=10.0, rounds=1),
    "SPEED": SPEED(ridge=0.05),
    "DP": DoubleProjections(safe="guide", positions="tail", rank=16),
    "OCE": OCE(erase_scale=1000.0, preserve_scale=20.0),
    "ScaPre": ScaPre(erase_scale=100.0, power=1.0),
    "ESD-x": ESD("x", learning_rate=2e-3, **ESD_SETTINGS),
    "ESD-u": ESD("u", learning_rate=5e-4, **ESD_SETTINGS),
}
FOR_TWO = FOR_ONE | {
    "FIA": FIA(UNION),
    "UCE": UCE(positions="tail", preserve_scale=1.0, ridge=10.0),
    "DP": FOR_FEW["DP"],
    "OCE": FOR_MANY["OCE"],
    "ScaPre": FOR_FEW["ScaPre"],
}
FOR_STYLES = FOR_FEW | {
    "FIA": FIA(replace(UNION, spatial_ratio=0.2)),
    "ConceptPrune": ConceptPrune(0.1, **PROMPTS),
    "UCE": UCE(positions="tail", preserve_scale=1.0, ridge=10.0),
    "RECE": RECE(positions="tail", preserve_scale=1.0, ridge=10.0),
    "OCE": FOR_MANY["OCE"],
}
FOR_SMOKING = FOR_ONE | {
    "FIA": FIA(replace(OF_FIVE, spatial_ratio=0.15, **PROMPTS_OF_SMOKING)),
    "ConceptPrune": ConceptPrune(0.2, **PROMPTS_OF_SMOKING),
    "UCE": UCE(positions="last", preserve_scale=1.0, ridge=1.0),
    **{name: FOR_FEW[name] for name in ("SPEED", "DP", "OCE", "ScaPre")},
}

PROMPTS_OF_LARGE = 10  # for each object of the large world, or finding a hundred would take three times as long
FOUND_IN_LARGE = replace(
    FOUND_WITH,
    sites="feed-forward",
    moment_rank=48,
    response_rank=16,
    retained_words=1000,
    prompts_per_concept=PROMPTS_OF_LARGE,
)
IN_DECODER = replace(FOUND_IN_LARGE, layers="up_blocks.*.ff.net.2")
FOR_ONE_OF_LARGE: dict[str, Method] = {
    OURS: FIA(replace(FOUND_IN_LARGE, retain_weight=0.75)),
    "ConceptPrune": FOR_FEW["ConceptPrune"],
    "UCE": UCE(positions="tail", preserve_scale=0.001, ridge=1.0),
    "RECE": RECE(positions="tail", preserve_scale=0.01, ridge=1.0),
    "SPEED": SPEED(threshold=10.0, ridge=0.05),
    "DP": DoubleProjections(safe="guide", positions="tail", rank=64),
    "OCE": OCE(erase_scale=300.0, preserve_scale=1.0),
    "ScaPre": ScaPre(erase_scale=20.0, power=1.0),
}
FOR_TEN_OF_LARGE: dict[str, Method] = {
    OURS: FIA(replace(IN_DECODER, target_scale=6.0, retain_weight=50.0)),
    "FIA": FIA(replace(OF_FIVE, spatial_ratio=0.015)),
    "RECE": RECE(positions="last", preserve_scale=10.0, ridge=10.0),
    "SPEED": SPEED(ridge=0.3, copies=0),
    "OCE": OCE(erase_scale=300.0, preserve_scale=5.0),
    "ScaPre": ScaPre(erase_scale=0.5),
}
FOR_A_HUNDRED: dict[str, Method] = {
    OURS: FIA(replace(IN_DECODER, target_scale=1.5, retain_weight=3.0)),
    "FIA": FIA(replace(OF_FIVE, spatial_ratio=0.005)),
    "ConceptPrune": ConceptPrune(0.005, guidance_scale=1.0, **PROMPTS),
    "UCE": UCE(positions="tail", preserve_scale=10.0, ridge=100.0),
    "RECE": RECE(positions="last", preserve_scale=10.0, ridge=1.0),
    "SPEED": SPEED(ridge=0.05, copies=0),
    "DP": DoubleProjections(safe="kept", rank=4),
    "OCE": OCE(erase_scale=300.0, preserve_scale=20.0, ordinary_scale=100.0),
    "ScaPre": ScaPre(power=32.0),
    "ESD-x": ESD("x", learning_rate=5e-4, **ESD_SETTINGS),
    "ESD-u": ESD("u", learning_rate=1e-4, **ESD_SETTINGS),
}
OF_LARGE = {1: FOR_ONE_OF_LARGE, 50: FOR_TEN_OF_LARGE, 100: FOR_A_HUNDRED}  # for up to so many objects

TOLD_WHAT_TO_KEEP = (OURS, "UCE", "RECE", "SPEED", "DP", "OCE")


def methods_for(task: BenchTask) -> Mapping[str, Method]:
    """Returns every method, with its settings for the kinds and the number of a task's concepts.

    Of a task that names nothing to be kept, it returns the methods that can be told: the others do the same again.
    """
    if not task.is_told:
        return {name: method for name, method in settings_for(task).items() if name in TOLD_WHAT_TO_KEEP}
    return settings_for(task)


def settings_for(task: BenchTask) -> Mapping[str, Method]:
    """Returns every method, with its settings for the kinds and the number of a task's concepts."""
    kinds = {concept.kind for concept in task.concepts}
    if kinds == {"style"}:
        return FOR_STYLES
    if kinds == {"explicit"}:
        return FOR_SMOKING
    number = len(task.concepts)
    return {1: FOR_ONE, 2: FOR_TWO}.get(number) or (FOR_FEW if number <= 5 else FOR_MANY)


def methods_for_scale(task: BenchTask) -> Mapping[str, Method]:
    """Returns every method, with its settings for a number of objects of the large world."""
    own = next(own for number, own in OF_LARGE.items() if len(task.concepts) <= number)
    return {name: _with_prompts_of_large(method) for name, method in {**settings_for(task), **own}.items()}


def _with_prompts_of_large(method: Method) -> Method:
    if isinstance(method, FIA):
        return FIA(replace(method.settings, prompts_per_concept=PROMPTS_OF_LARGE))
    return replace(method, prompts_per_concept=PROMPTS_OF_LARGE) if isinstance(method, ConceptPrune) else method
