"""The method from end to end: find each concept's neurons, fuse them, apply the mask."""

import importlib.metadata
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate.utils import find_executable_batch_size
from diffusers import DiffusionPipeline
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import __version__
from .activations import connection_saliency, observe
from .concepts import Concept, as_concepts, paper_agnostic_ratio
from .denoise import Position, run_first_steps
from .edit import current_edit
from .layers import count_parameters, get_denoiser, layer_shapes, maskable_layers
from .mask import NeuronMask
from .neurons import select_neurons
from .prompts import PromptPair, prompt_pairs
from .settings import Settings
from .statistics import GroupStatistics

ConceptPairs = list[tuple[Concept, list[PromptPair]]]


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
        pipe: a Stable Diffusion 1.x, 2.x or XL pipeline.
        concepts: names of objects, or `Concept`s for styles, explicit content, own prompts or own ratios.
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
    **overrides: Any,
) -> NeuronMask:
    """Finds the mask that makes a pipeline forget concepts, and leaves the pipeline as it is; see `forget`."""
    settings = replace(settings or Settings(), **overrides)
    denoiser = get_denoiser(pipe)
    layers = maskable_layers(denoiser)
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
    groups = group_by_base_prompts(pairs, concepts_that_fit(layers, pipe._execution_device))
    with tqdm(total=len(groups) * settings.saliency_steps, unit="step", disable=not progress) as bar:
        for group in groups:
            names = [concept.name for concept, _ in group]
            bar.set_description(f"Finding {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else ""))
            found |= find_group(pipe, layers, group, settings, bar)
    seconds = time.perf_counter() - started
    return NeuronMask(
        neurons={concept.name: found[concept.name] for concept, _ in pairs},
        shapes=layer_shapes(layers),
        agnostic_ratio=agnostic_ratio,
        architecture=type(denoiser).__name__,
        denoiser_parameters=count_parameters(denoiser),
        provenance=provenance(pipe, pairs, settings, seconds),
    )


def pair_prompts(concepts: Iterable[Concept], settings: Settings) -> ConceptPairs:
    """Returns each concept with its prompt pairs."""
    numbers = {name: getattr(settings, name) for name in ("prompts_per_concept", "seeds_per_prompt", "seed")}
    return [(concept, prompt_pairs(concept, **numbers)) for concept in concepts]


def collect_statistics(
    pipe: DiffusionPipeline,
    layers: dict[str, nn.Linear],
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
    pipe: DiffusionPipeline, layers: dict[str, nn.Linear], group: ConceptPairs, settings: Settings, bar: tqdm
) -> dict[str, dict[str, Tensor]]:
    """Returns each concept's neurons by layer (flat int32 indices on the CPU) for concepts with the same base prompts.

    Out of memory, the group starts over with smaller batches.
    """
    before = bar.n

    sizes = iter([settings.batch_size // 2**i for i in range(1, settings.batch_size.bit_length())] + [0])

    @find_executable_batch_size(starting_batch_size=settings.batch_size, reduce_batch_size_fn=lambda: next(sizes))
    def collect(batch_size: int) -> GroupStatistics:
        bar.n = before
        step = partial(bar.update, 1)
        return collect_statistics(pipe, layers, group, settings, batch_size, connection_saliency, step)

    try:
        statistics = collect()
    except RuntimeError as error:
        if "No executable batch size" not in str(error):
            raise
        raise MemoryError(
            f"Out of memory even with one row at a time, for {len(group)} concepts together. Forget fewer at once, use "
            "fewer prompts or seeds, or load the model in float16."
        ) from error
    found: dict[str, dict[str, Tensor]] = {}
    for i, (concept, _) in enumerate(group):
        spatial_ratio = _first(concept.spatial_ratio, settings.spatial_ratio)
        found[concept.name] = {
            name: select_neurons(layer.integrals[i].aggregate(settings.magnitude), spatial_ratio).int().cpu()
            for name, layer in statistics.layers.items()
        }
        if spatial_ratio > 0 and not any(len(indices) for indices in found[concept.name].values()):
            warnings.warn(
                f"No connection answers to {concept.name!r} more than to its base prompts; nothing is pruned for it.",
                stacklevel=4,
            )
    return found


def group_by_base_prompts(pairs: ConceptPairs, at_most: int) -> list[ConceptPairs]:
    """Returns groups of at most so many concepts whose base prompts and seeds are the same, to be run together."""
    together: dict[tuple, ConceptPairs] = defaultdict(list)
    for concept, own in pairs:
        together[tuple((pair.base_prompt, pair.seed) for pair in own)].append((concept, own))
    return [group[i : i + at_most] for group in together.values() for i in range(0, len(group), at_most)]


def concepts_that_fit(layers: dict[str, nn.Linear], device: torch.device) -> int:
    """Returns how many concepts' running sums fit into half of the free memory; at least one.

    A concept needs two float32 numbers for each connection; four more are shared by a group.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    one_sum = 4 * sum(layer.weight.numel() for layer in layers.values())
    return max(1, (free // 2 // one_sum - 4) // 2)


def provenance(pipe: DiffusionPipeline, pairs: ConceptPairs, settings: Settings, seconds: float) -> dict[str, Any]:
    """Returns how a mask was made, as plain JSON."""
    denoiser = get_denoiser(pipe)
    return {
        "model": model_name(pipe),
        "pipeline": type(pipe).__name__,
        "scheduler": type(pipe.scheduler).__name__,
        "dtype": str(denoiser.dtype).removeprefix("torch."),
        "device": denoiser.device.type,
        "seconds": round(seconds, 2),
        "settings": asdict(settings),
        "concepts": [
            asdict(replace(concept, prompts=())) | {"prompts": [asdict(pair) for pair in own]} for concept, own in pairs
        ],
        "versions": versions(),
    }


def model_name(pipe: DiffusionPipeline) -> str:
    """Returns the repository a pipeline came from, or the name of its folder without the path to it."""
    name = str(pipe.config.get("_name_or_path") or type(pipe).__name__)
    return Path(name).name if Path(name).exists() else name


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    names = ("torch", "diffusers", "transformers")
    return {"fia": __version__} | {name: importlib.metadata.version(name) for name in names}


def _first(own: float | None, default: float) -> float:
    return default if own is None else own
