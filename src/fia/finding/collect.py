"""Runs prompts through the first steps, and collects what Eq. 3 and the rewriting need of a group of concepts."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from accelerate.utils import find_executable_batch_size

from ..errors import OutOfMemoryError
from ..models.families import family_of
from ..models.layers import MaskableLayer, layer_shapes
from ..prompts import ConceptPairs
from .authors_code import ColumnStatistics, column_squares
from .denoise import run_first_steps
from .moments import GroupSketches
from .observe import Observer
from .plan import FindingPlan, FirstSteps
from .progress import Progress
from .saliency import Measure
from .sums import GroupStatistics

T = TypeVar("T")


def collect_statistics(
    plan: FindingPlan,
    layers: dict[str, MaskableLayer],
    group: ConceptPairs,
    steps: Progress,
    measure: Measure,
) -> tuple[GroupStatistics | ColumnStatistics, GroupSketches | None]:
    """Runs the first steps for concepts with the same base prompts.

    Args:
        plan: the plan that the group belongs to.
        layers: the layers to watch.
        group: the concepts and their prompt pairs.
        steps: counts the steps.
        measure: scores the connections of a layer, as `connection_saliency` does. In "authors-code" mode, the authors'
            score replaces it.

    Returns:
        The sums for Eq. 3; and the sketches of moments and responses, or None if the neurons become zero.

    Raises:
        MemoryError: if the memory does not even hold one row at a time.
    """
    prompts, ratios = len(group[0][1]), [plan.temporal_ratio(concept) for concept, _ in group]

    def collect(batch_size: int) -> tuple[GroupStatistics | ColumnStatistics, GroupSketches | None]:
        if plan.settings.as_authors_code:
            columns = ColumnStatistics(layers, ratios, prompts, plan.passes_of_step, device=plan.memory.integrals)
            with Observer(layers, column_squares, columns.receive) as observer:
                run_group(plan, group, observer, batch_size, steps)
            return columns, None
        statistics = GroupStatistics(
            layer_shapes(layers), ratios, prompts, count_ties=plan.settings.count_ties, device=plan.memory.integrals
        )
        sketches = None
        if not plan.settings.is_zero:
            from_end = family_of(plan.denoiser).text_first
            sketches = GroupSketches(layers, len(group), prompts, from_end=from_end)
        watch = None if sketches is None else sketches.receive
        with Observer(layers, measure, statistics.receive, watch) as observer:
            run_group(plan, group, observer, batch_size, steps)
        return statistics, sketches

    return with_smaller_batches(plan, collect, steps)


def with_smaller_batches(plan: FindingPlan, collect: Callable[[int], T], steps: Progress) -> T:
    """Returns what `collect` returns. If the memory runs out, it starts over with half as many rows at a time.

    Args:
        plan: the plan of the run.
        collect: takes the number of rows in the denoiser at a time.
        steps: counts the steps.

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
                f"Out of memory even with one row at a time, for {plan.memory.concepts} concepts together. Give a "
                "smaller concepts_at_once (--concepts-at-once), use fewer prompts or seeds, or load the model in "
                "float16."
            )
        return batch_size

    in_memory = find_executable_batch_size(collect, starting_batch_size=batch_size, reduce_batch_size_fn=halved)
    collected: T = in_memory()
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
    prompts = [pair.base_prompt for pair in pairs] + [pair.concept_prompt for _, own in group for pair in own]
    seeds = [pair.seed for pair in pairs] * (1 + len(group))
    run_prompts(plan, prompts, seeds, observer, batch_size, steps, plan.run_of_concepts)


def run_prompts(
    plan: FindingPlan,
    prompts: Sequence[str],
    seeds: Sequence[int],
    observer: Observer,
    batch_size: int,
    steps: Progress,
    run: FirstSteps,
) -> None:
    """Runs the first steps of generations for some prompts.

    Args:
        plan: the plan of the run.
        prompts: P prompts.
        seeds: their seeds.
        observer: watches the denoiser's layers.
        batch_size: rows in the denoiser at a time. It replaces that of the settings.
        steps: counts the steps.
        run: the steps, and the guidance.
    """
    run_first_steps(
        plan.pipe,
        plan.denoiser,
        prompts,
        seeds,
        observer,
        batch_size=batch_size,
        on_step=steps.advance,
        call=plan.call,
        **run._asdict(),
    )
