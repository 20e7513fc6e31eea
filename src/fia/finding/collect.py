"""Runs the prompts of a group of concepts through the first steps, and collects the sums that Eq. 3 needs."""

from collections.abc import Callable

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from diffusers import DiffusionPipeline

from ..errors import OutOfMemoryError
from ..models.layers import MaskableLayer, layer_shapes
from ..prompts import ConceptPairs
from ..settings import Settings
from .denoise import Position, run_first_steps
from .observe import observe
from .plan import FindingPlan
from .progress import Progress
from .saliency import Measure, connection_saliency
from .sums import GroupStatistics


def collect_statistics(
    pipe: DiffusionPipeline,
    layers: dict[str, MaskableLayer],
    group: ConceptPairs,
    settings: Settings,
    batch_size: int,
    measure: Measure,
    on_step: Callable[[], None],
    device: torch.device | None = None,
) -> GroupStatistics:
    """Runs the first steps for concepts with the same base prompts, and returns the sums that Eq. 3 needs.

    Args:
        layers: to watch.
        group: the concepts and their prompt pairs.
        batch_size: rows in the denoiser at a time, in place of the settings'.
        measure: U of every connection (Eq. 1).
        on_step: called after each step.
        device: where the concepts' sums are kept; with the model where None.
    """
    ratios = [own_or(concept.temporal_ratio, settings.temporal_ratio) for concept, _ in group]
    position, prompts = Position(), len(group[0][1])
    statistics = GroupStatistics(
        layer_shapes(layers), ratios, prompts, count_ties=settings.count_ties, device=device or pipe._execution_device
    )
    with observe(layers, position, measure, statistics.receive):
        run_group(pipe, group, position, settings, batch_size, on_step)
    return statistics


def run_group(
    pipe: DiffusionPipeline,
    group: ConceptPairs,
    position: Position,
    settings: Settings,
    batch_size: int,
    on_step: Callable[[], None],
) -> None:
    """Runs the first steps for the base prompts that a group shares, and then for those of one concept after another.

    Args:
        position: says to hooks on the denoiser's layers which rows they see.
        batch_size: rows in the denoiser at a time, in place of the settings'.
        on_step: called after each step.
    """
    pairs = group[0][1]
    run_first_steps(
        pipe,
        [pair.base_prompt for pair in pairs] + [pair.concept_prompt for _, own in group for pair in own],
        [pair.seed for pair in pairs] * (1 + len(group)),
        position,
        first_steps=settings.saliency_steps,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        batch_size=batch_size,
        on_step=on_step,
    )


def collect_in_memory(
    plan: FindingPlan, layers: dict[str, MaskableLayer], group: ConceptPairs, steps: Progress
) -> GroupStatistics:
    """Returns what `collect_statistics` does; out of memory, it starts over with smaller batches.

    Raises:
        MemoryError: if one row at a time is too much.
    """
    settings = plan.settings
    before, batch_size = steps.done, settings.batch_size
    while batch_size > 0:
        steps.go_back(before)
        try:
            return collect_statistics(
                plan.pipe,
                layers,
                group,
                settings,
                batch_size,
                connection_saliency,
                steps.advance,
                plan.memory.integrals,
            )
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
        clear_device_cache(garbage_collection=True)
        batch_size //= 2
    raise OutOfMemoryError(
        f"Out of memory even with one row at a time, for {len(group)} concepts together. Give a smaller "
        "concepts_at_once (--concepts-at-once), use fewer prompts or seeds, or load the model in float16."
    )


def own_or(own: float | None, default: float) -> float:
    """Returns a concept's own ratio where it has one."""
    return default if own is None else own
