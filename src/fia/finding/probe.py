"""Tells whether a model draws an object at all, before it is found: a misspelt name is found in noise.

A few prompts run through a few steps: with the concept, with made-up words in its place, and without either. The
contrast of Eq. 2, summed over all connections, says how much the layers answer to a word. The figure is that of the
concept divided by that of the made-up words. On the embedded model, whose words we know, it is 1.05 to 1.69 for twelve
objects that it was trained with. For twelve misspelt or unknown ones it is 0.79 to 1.48, and below LEAST for nine of
them; LEAST was chosen on these words. Other kinds were not measured, so they are not probed.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..concepts import Concept
from ..errors import OutOfMemoryError
from ..models.layers import layer_shapes
from ..prompts import ConceptPairs, prompt_pairs
from .collect import run_group, with_smaller_batches
from .neurons import TemporalIntegral
from .observe import Observer
from .plan import NAMES_AT_ONCE, FindingPlan
from .progress import Progress
from .saliency import connection_saliency
from .sums import GroupStatistics

log = logging.getLogger("fia")

MADE_UP = ("vorplig", "nebrul")
PROMPTS, LEAST = 3, 1.04


def warn_of_unknown(plan: FindingPlan) -> None:
    """Warns of every object to which the model answers hardly more than to a made-up word, with the figure."""
    objects = [concept for concept, _ in plan.pairs if concept.kind == "object" and not concept.prompts]
    try:
        figures = answers(plan, [word for concept in objects for word in concept.words])
    except OutOfMemoryError:
        return  # it is only a hint
    for name, figure in figures.items():
        if figure < LEAST:
            log.warning(
                f"The model answers to {name!r} only {figure:.2f} times as much as to a made-up word, so it may not "
                "know it. Check the spelling, and generate an image of it. If the image shows it, all is well."
            )


def answers(plan: FindingPlan, words: Sequence[str]) -> dict[str, float]:
    """Returns how much the model answers to each word; 1 is as much as to a made-up one.

    Args:
        plan: a plan with the model, and how to run it.
        words: names of objects.
    """
    figures: dict[str, float] = {}
    for first in range(0, len(words), NAMES_AT_ONCE):
        some = words[first : first + NAMES_AT_ONCE]
        *own, one, two = contrasts(plan, [Concept(word) for word in (*some, *MADE_UP)])
        usual = (one + two) / 2
        figures |= {word: value / usual if usual > 0 else 1.0 for word, value in zip(some, own, strict=True)}
    return figures


class Total(TemporalIntegral):
    """Keeps one number of a layer: S summed over its connections and over the steps."""

    def __init__(self, _: tuple[int, int], device: torch.device | None = None) -> None:
        """Starts with no step. `device` keeps the number; None means the CPU."""
        super().__init__((), device)

    def add(self, saliency: Tensor, temporal_ratio: float, *, count_ties: bool = False) -> None:
        """Adds S of one more step."""
        self.steps += 1
        self.magnitude += saliency.sum().to(self.magnitude.device)


def contrasts(plan: FindingPlan, concepts: Sequence[Concept]) -> list[float]:
    """Returns the contrast of Eq. 2 of each concept, summed over the connections of all layers and over the steps."""
    seed = plan.settings.seed or 0
    group: ConceptPairs = [
        (concept, prompt_pairs(concept, prompts_per_concept=PROMPTS, seeds_per_prompt=1, seed=seed))
        for concept in concepts
    ]
    run = plan.run_of_names
    first = run.first_steps
    settings = replace(
        plan.settings,
        saliency_steps=first,
        num_inference_steps=run.num_inference_steps,
        guidance_scale=run.guidance_scale,
    )
    brief, layers = replace(plan, settings=settings), plan.memory.parts[0]

    def collect(batch_size: int) -> list[float]:
        ratios = [0.0] * len(concepts)  # which connections are active does not matter
        device = plan.memory.integrals
        sums = GroupStatistics(layer_shapes(layers), ratios, PROMPTS, count_ties=False, device=device, integral=Total)
        with Observer(layers, connection_saliency, sums.receive) as observer:
            run_group(brief, group, observer, batch_size, steps)
        return [sum(float(layer.integrals[i].magnitude) for layer in sums.layers.values()) for i in range(len(ratios))]

    with Progress(first, shown=False) as steps:
        return with_smaller_batches(brief, collect, steps)
