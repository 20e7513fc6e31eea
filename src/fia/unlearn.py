"""The method from end to end: find each concept's neurons, fuse them, apply the mask."""

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from accelerate.utils import find_executable_batch_size
from diffusers import DiffusionPipeline
from torch import Tensor

from .activations import connection_saliency, observe
from .concepts import Concept, as_concepts, paper_agnostic_ratio
from .denoise import Position, run_first_steps
from .edit import current_edit
from .layers import MaskableLayer, count_parameters, get_denoiser, hash_weights, layer_shapes, maskable_layers
from .mask import NeuronMask
from .memory import concepts_that_fit, layers_that_fit
from .neurons import select_neurons
from .progress import OnStep, Progress
from .prompts import prompt_pairs
from .record import ConceptPairs, record, warn_of_adapters, warn_of_guesses
from .settings import Settings
from .statistics import GroupStatistics


def forget(
    pipe: DiffusionPipeline,
    concepts: str | Concept | Iterable[str | Concept],
    settings: Settings | None = None,
    *,
    progress: bool = True,
    **overrides: Any,
) -> NeuronMask:
    """Makes a pipeline forget concepts, in place, without training; returns the mask that did it.

    Args:
        pipe: a text-to-image pipeline of one of the families in docs/families.md, or of any other with `layers`.
        concepts: names of objects, or for styles, explicit content, own prompts or own ratios a `Concept` each.
        settings: how; the defaults of `Settings` where None.
        progress: whether to show a progress bar.
        **overrides: single settings, such as `spatial_ratio=0.03`.

    Returns:
        The mask, already applied. `mask.remove(pipe)` takes it back.

    Raises:
        TypeError: if the pipeline cannot be masked, or for a setting that does not exist.
        ValueError: for settings out of range, no concept or one given twice, and for a pipeline that already carries a
            mask.
    """
    mask = find(pipe, concepts, settings, progress=progress, **overrides)
    mask.apply(pipe)
    return mask


def find(
    pipe: DiffusionPipeline,
    concepts: str | Concept | Iterable[str | Concept],
    settings: Settings | None = None,
    *,
    progress: bool = True,
    on_step: OnStep | None = None,
    **overrides: Any,
) -> NeuronMask:
    """Finds the mask that makes a pipeline forget concepts, and leaves the pipeline as it is; see `forget`.

    Args:
        on_step: called with the numbers of steps done and of all after each one, which is a step of the denoiser for
            all prompts of a group of concepts. An exception from it stops the finding.
    """
    settings = replace(settings or Settings(), **overrides)
    denoiser = get_denoiser(pipe, known=settings.layers is None)
    layers = maskable_layers(denoiser, settings.layers)
    warn_of_guesses(denoiser)
    warn_of_adapters(denoiser)
    present = current_edit(denoiser)
    if present is not None:
        raise ValueError(
            f"A mask ({present.label}) is applied to this pipeline, and neurons must be found on the original weights. "
            "Remove it first: mask.remove(pipe)."
        )
    wanted = as_concepts(concepts, settings.mode)
    agnostic_ratio = _first(settings.agnostic_ratio, paper_agnostic_ratio(wanted))
    settings = replace(settings, agnostic_ratio=agnostic_ratio)
    pairs = pair_prompts(wanted, settings)
    started = time.perf_counter()
    found: dict[str, dict[str, Tensor]] = {}
    parts = layers_that_fit(layers, pipe._execution_device)
    groups = group_by_base_prompts(pairs, concepts_that_fit(layers, pipe._execution_device))
    steps_in_all = len(groups) * len(parts) * settings.saliency_steps
    with Progress(steps_in_all, shown=progress, on_step=on_step) as steps:
        for group in groups:
            names = [concept.name for concept, _ in group]
            steps.describe(f"Finding {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else ""))
            found |= find_group(pipe, parts, group, settings, steps)
    seconds = time.perf_counter() - started
    return NeuronMask(
        neurons={concept.name: found[concept.name] for concept, _ in pairs},
        shapes=layer_shapes(layers),
        agnostic_ratio=agnostic_ratio,
        architecture=type(denoiser).__name__,
        denoiser_parameters=count_parameters(denoiser),
        weights_hash=hash_weights(layers),
        layer_pattern=settings.layers,
        provenance=[record(pipe, pairs, settings, seconds)],
    )


def pair_prompts(concepts: Iterable[Concept], settings: Settings) -> ConceptPairs:
    """Returns each concept with its prompt pairs."""
    numbers = {name: getattr(settings, name) for name in ("prompts_per_concept", "seeds_per_prompt", "seed")}
    return [(concept, prompt_pairs(concept, **numbers)) for concept in concepts]


def collect_statistics(
    pipe: DiffusionPipeline,
    layers: dict[str, MaskableLayer],
    group: ConceptPairs,
    settings: Settings,
    batch_size: int,
    measure: Callable[[Tensor, Tensor, Tensor], Tensor],
    on_step: Callable[[], None],
) -> GroupStatistics:
    """Runs the first steps for concepts with the same base prompts, and returns the sums that Eq. 3 needs.

    Args:
        layers: to watch.
        group: the concepts and their prompt pairs.
        batch_size: rows in the denoiser at a time, in place of the settings'.
        measure: U of a connection (Eq. 1) from W, X and Y.
        on_step: called after each step.
    """
    pairs = group[0][1]
    ratios = [_first(concept.temporal_ratio, settings.temporal_ratio) for concept, _ in group]
    position = Position()
    statistics = GroupStatistics(list(layers), ratios, len(pairs), count_ties=settings.count_ties)
    with observe(layers, position, measure, statistics.receive):
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
    return statistics


def find_group(
    pipe: DiffusionPipeline,
    parts: list[dict[str, MaskableLayer]],
    group: ConceptPairs,
    settings: Settings,
    steps: Progress,
) -> dict[str, dict[str, Tensor]]:
    """Returns each concept's neurons by layer (flat int32 indices on the CPU) for concepts with the same base prompts.

    Args:
        parts: the layers, those of each part to be watched in a run of their own.
        group: the concepts and their prompt pairs.
        steps: goes on by every step.
    """
    found: dict[str, dict[str, Tensor]] = {concept.name: {} for concept, _ in group}
    ratios = [_first(concept.spatial_ratio, settings.spatial_ratio) for concept, _ in group]
    for layers in parts:
        statistics = collect_in_memory(pipe, layers, group, settings, steps)
        for i, ((concept, _), ratio) in enumerate(zip(group, ratios, strict=True)):
            found[concept.name] |= {
                name: select_neurons(layer.integrals[i].aggregate(settings.magnitude), ratio).int().cpu()
                for name, layer in statistics.layers.items()
            }
    for (name, own), ratio in zip(found.items(), ratios, strict=True):
        if ratio > 0 and not any(map(len, own.values())):
            warnings.warn(
                f"No connection answers to {name!r} more than to its base prompts; nothing is pruned for it.",
                stacklevel=4,
            )
    return found


def collect_in_memory(
    pipe: DiffusionPipeline, layers: dict[str, MaskableLayer], group: ConceptPairs, settings: Settings, steps: Progress
) -> GroupStatistics:
    """Returns what `collect_statistics` does; out of memory, it starts over with smaller batches.

    Raises:
        MemoryError: if one row at a time is too much.
    """
    before = steps.done
    sizes = iter([settings.batch_size // 2**i for i in range(1, settings.batch_size.bit_length())] + [0])

    @find_executable_batch_size(starting_batch_size=settings.batch_size, reduce_batch_size_fn=lambda: next(sizes))
    def collect(batch_size: int) -> GroupStatistics:
        steps.go_back(before)
        return collect_statistics(pipe, layers, group, settings, batch_size, connection_saliency, steps.advance)

    try:
        return collect()
    except RuntimeError as error:
        if "No executable batch size" not in str(error):
            raise
        raise MemoryError(
            f"Out of memory even with one row at a time, for {len(group)} concepts together. Forget fewer at once, use "
            "fewer prompts or seeds, or load the model in float16."
        ) from error


def group_by_base_prompts(pairs: ConceptPairs, at_most: int) -> list[ConceptPairs]:
    """Returns groups of at most so many concepts whose base prompts and seeds are the same, to be run together."""
    together: dict[tuple, ConceptPairs] = defaultdict(list)
    for concept, own in pairs:
        together[tuple((pair.base_prompt, pair.seed) for pair in own)].append((concept, own))
    return [group[i : i + at_most] for group in together.values() for i in range(0, len(group), at_most)]


def _first(own: float | None, default: float) -> float:
    return default if own is None else own
