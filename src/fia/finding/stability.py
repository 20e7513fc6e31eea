"""Would another choice of prompts have found the same neurons?

The paper leaves open how many prompts a concept needs, and whether the base prompts matter. Both are answered for a
model by finding each concept twice and comparing: once with half of its prompts and once with the other half, from
other seeds; and once more with the first half, but with other base prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..errors import UsageError
from ..masks.mask import NeuronMask
from ..masks.overlap import overlap, overlap_by_chance
from ..prompts import prompt_pairs
from ..settings import Settings
from .plan import choose_settings
from .run import find

OTHER_SEEDS = 1_000_000  # further on


@dataclass(frozen=True)
class Stability:
    """What two findings with n prompts each have in common; means over the concepts, in percent.

    Attributes:
        prompts: n.
        other_prompts: intersection over union of the neurons found with disjoint prompts and seeds.
        other_bases: the same, where only the base prompts differ.
        by_chance: what two random choices of as many neurons of each layer would share.
    """

    prompts: int
    other_prompts: float
    other_bases: float
    by_chance: float


def measure_stability(
    pipe: DiffusionPipeline,
    concepts: Sequence[Concept],
    prompts: Sequence[int],
    settings: Settings | None = None,
    **overrides: Any,
) -> list[Stability]:
    """Finds every concept three times for each number of prompts, and compares.

    Args:
        pipe: the model, without a mask.
        concepts: to find.
        prompts: numbers of prompts n; a concept's kind must have 2n of them, or the concept its own.
        settings: to find with, but for the number of prompts; see `find`.
        **overrides: single settings.

    Raises:
        ValueError: for a number below 1 or too large.
    """
    concepts, settings = choose_settings(pipe, concepts, settings, overrides)
    result = []
    for number in prompts:
        if number < 1:
            raise UsageError(f"prompts={number}; each half must have at least 1.")
        halves = [split(concept, number) for concept in concepts]
        first = find(pipe, [half for half, _, _ in halves], settings)
        second = find(pipe, [half for _, half, _ in halves], replace(settings, seed=settings.seed + OTHER_SEEDS))
        rebased = find(pipe, [half for _, _, half in halves], settings)
        result.append(
            Stability(number, mean_overlap(first, second), mean_overlap(first, rebased), mean_overlap_by_chance(first))
        )
    return result


def split(concept: Concept, number: int) -> tuple[Concept, Concept, Concept]:
    """Returns the concept with its first n prompts, with the n after those, and with the first n on other bases.

    Raises:
        ValueError: if it has fewer than 2n.
    """
    if concept.prompts and len(concept.prompts) < 2 * number:
        raise UsageError(f"{concept.name!r} has {len(concept.prompts)} prompts, and two halves of {number} need more.")
    pairs = prompt_pairs(concept, prompts_per_concept=2 * number, seeds_per_prompt=1, seed=0)
    texts = [(pair.concept_prompt, pair.base_prompt) for pair in pairs]
    first, second = texts[:number], texts[number : 2 * number]
    rebased = [(prompt, other_base(base)) for prompt, base in first]
    return tuple(replace(concept, prompts=tuple(half)) for half in (first, second, rebased))  # type: ignore[return-value]


def other_base(base: str) -> str:
    """Returns a base prompt in other words: as a photo of the same, or no photo where it is one."""
    start = "a photo of "
    return base.removeprefix(start) if base.startswith(start) else start + base


def mean_overlap(one: NeuronMask, two: NeuronMask) -> float:
    """Returns the mean over concepts of the IoU of their neurons in two masks, in percent."""
    return mean(overlap(one.neurons[name], two.neurons[name]) for name in one.concepts)


def mean_overlap_by_chance(mask: NeuronMask) -> float:
    """Returns what the IoU would be of two random choices of as many neurons of every layer, in expectation."""
    return mean(overlap_by_chance(layers, layers, mask.shapes) for layers in mask.neurons.values())
