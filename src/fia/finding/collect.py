"""Runs the prompts of a group of concepts through the first steps and collects the sums for Eq. 3."""

from accelerate.utils import find_executable_batch_size

from ..errors import OutOfMemoryError
from ..models.layers import MaskableLayer, layer_shapes
from ..prompts import ConceptPairs
from .denoise import run_first_steps
from .observe import Observer
from .plan import FindingPlan
from .progress import Progress
from .saliency import Measure
from .sums import GroupStatistics


def collect_statistics(
    plan: FindingPlan,
    layers: dict[str, MaskableLayer],
    group: ConceptPairs,
    steps: Progress,
    measure: Measure,
) -> GroupStatistics:
    """Runs the first steps for concepts with the same base prompts and returns the sums for Eq. 3.

    If the memory runs out, it starts over with half as many rows at a time.

    Args:
        plan: the plan that the group belongs to.
        layers: the layers to watch.
        group: the concepts and their prompt pairs.
        steps: counts the steps.
        measure: scores the connections of a layer, as `connection_saliency` does.

    Raises:
        MemoryError: if the memory does not even hold one row at a time.
    """
    before, batch_size = steps.done, plan.settings.batch_size

    def halved() -> int:
        nonlocal batch_size
        batch_size //= 2
        steps.go_back(before)
        if batch_size == 0:
            raise OutOfMemoryError(
                f"Out of memory even with one row at a time, for {len(group)} concepts together. Give a smaller "
                "concepts_at_once (--concepts-at-once), use fewer prompts or seeds, or load the model in float16."
            )
        return batch_size

    def collect(batch_size: int) -> GroupStatistics:
        statistics = GroupStatistics(
            layer_shapes(layers),
            [plan.temporal_ratio(concept) for concept, _ in group],
            len(group[0][1]),
            count_ties=plan.settings.count_ties,
            device=plan.memory.integrals,
        )
        with Observer(layers, measure, statistics.receive) as observer:
            run_group(plan, group, observer, batch_size, steps)
        return statistics

    in_memory = find_executable_batch_size(collect, starting_batch_size=batch_size, reduce_batch_size_fn=halved)
    collected: GroupStatistics = in_memory()
    return collected


def run_group(plan: FindingPlan, group: ConceptPairs, observer: Observer, batch_size: int, steps: Progress) -> None:
    """Runs the first steps for a group: the base prompts first, then the prompts of one concept after another.

    Args:
        plan: the plan that the group belongs to.
        group: the concepts and their prompt pairs.
        observer: watches the denoiser's layers.
        batch_size: rows in the denoiser at a time. It replaces that of the settings.
        steps: counts the steps.
    """
    pairs = group[0][1]
    run_first_steps(
        plan.pipe,
        plan.denoiser,
        [pair.base_prompt for pair in pairs] + [pair.concept_prompt for _, own in group for pair in own],
        [pair.seed for pair in pairs] * (1 + len(group)),
        observer,
        first_steps=plan.settings.saliency_steps,
        num_inference_steps=plan.settings.num_inference_steps,
        guidance_scale=plan.settings.guidance_scale,
        batch_size=batch_size,
        on_step=steps.advance,
    )
