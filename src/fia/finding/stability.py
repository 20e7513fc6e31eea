"""Would other prompts find the same neurons?

The paper leaves open how many prompts a concept needs, and whether the base prompts matter. To answer both for a model,
we find each concept three times and compare: with half of its prompts, with the other half and other seeds, and with
the first half again but other base prompts.
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
from ..prompts import prompt_pairs, reworded
from ..settings import Settings
from .plan import choose_settings
from .run import find

OTHER_SEEDS = 1_000_000  # distance to the seeds of the other half


@dataclass(frozen=True)
class Stability:
    """The IoU (intersection over union) of two runs with n prompts each: means over the concepts, in percent.

    Attributes:
        prompts: n.
        other_prompts: IoU of the neurons found with disjoint prompts and seeds.
        other_bases: the same if only the base prompts differ.
        by_chance: IoU to expect of two random choices of as many neurons in each layer.
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
    """Finds every concept three times for each number of prompts, and compares the neurons.

    Args:
        pipe: the pipeline, without a mask.
        concepts: the concepts to find.
        prompts: numbers of prompts n. A concept's kind, or the concept itself, must have at least 2n prompts.
        settings: see `find`. The number of prompts is replaced.
        **overrides: single settings.

    Raises:
        ValueError: if a number is below 1 or too large.
    """
    concepts, settings = choose_settings(pipe, concepts, settings, overrides)
    settings = replace(settings, edit="zero")  # the neurons are the same, and their values do not matter here
    assert settings.seed is not None
    result = []
    for number in prompts:
        if number < 1:
            raise UsageError(f"prompts={number}; it must be at least 1.")
        halves = [split(concept, number, settings.as_authors_code) for concept in concepts]
        first = find(pipe, [half for half, _, _ in halves], settings)
        second = find(pipe, [half for _, half, _ in halves], replace(settings, seed=settings.seed + OTHER_SEEDS))
        rebased = find(pipe, [half for _, _, half in halves], settings)
        result.append(
            Stability(number, mean_overlap(first, second), mean_overlap(first, rebased), mean_overlap_by_chance(first))
        )
    return result


def verdict(rows: Sequence[Stability]) -> str:
    """Returns in words whether the choice of prompts matters, from the row with the most prompts.

    Two equal sets with the IoU s share 2s / (1 + s) of their neurons. Below a third we call that few, above two thirds
    most.
    """
    most = max(rows, key=lambda row: row.prompts)
    same, chance = (100 * 2 * iou / (100 + iou) for iou in (most.other_prompts, most.by_chance))
    word = "most" if same > 200 / 3 else "few" if same < 100 / 3 else "some"
    start = (
        f"With {most.prompts} prompts, two choices of prompts share {same:.0f} % of their neurons ({chance:.0f} % by "
        f"chance): {word} of them."
    )
    if word == "most":
        return f"{start} {most.prompts} prompts are enough; another choice would change little."
    fewer = [row.other_prompts for row in rows if row.prompts < most.prompts]
    grows = not fewer or most.other_prompts > 1.1 * max(fewer)
    more = "More prompts still help: raise --prompts-per-concept." if grows else "More prompts hardly help."
    return (
        f"{start} {more} Other neurons may forget as well: evaluate masks with two values of --seed before you rely on "
        "one."
    )


def split(concept: Concept, number: int, as_authors_code: bool = False) -> tuple[Concept, Concept, Concept]:
    """Returns a concept with its first n prompts, with the next n, and with the first n and other base prompts.

    Raises:
        ValueError: if it has fewer than 2n prompts.
    """
    if concept.prompts and len(concept.prompts) < 2 * number:
        raise UsageError(
            f"Concept {concept.name!r} has {len(concept.prompts)} prompts, but two halves of {number} need "
            f"{2 * number}; give it more prompts, or use a smaller number."
        )
    pairs = prompt_pairs(
        concept, prompts_per_concept=2 * number, seeds_per_prompt=1, seed=0, as_authors_code=as_authors_code
    )
    texts = [(pair.concept_prompt, pair.base_prompt) for pair in pairs]
    first, second = texts[:number], texts[number : 2 * number]
    rebased = [(prompt, reworded(base)) for prompt, base in first]
    return tuple(replace(concept, prompts=tuple(half)) for half in (first, second, rebased))  # type: ignore[return-value]


def mean_overlap(one: NeuronMask, two: NeuronMask) -> float:
    """Returns the mean over concepts of the IoU of their neurons in two masks, in percent."""
    return mean(overlap(one.neurons[name], two.neurons[name]) for name in one.concepts)


def mean_overlap_by_chance(mask: NeuronMask) -> float:
    """Returns the mean over concepts of the IoU to expect of two random choices of as many neurons, in percent."""
    return mean(overlap_by_chance(layers, layers, mask.shapes) for layers in mask.neurons.values())
