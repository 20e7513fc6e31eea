"""The method from end to end: find each concept's neurons, fuse them, apply the mask."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Unpack

from accelerate import PartialState
from accelerate.utils import gather_object
from diffusers import DiffusionPipeline
from torch import Tensor

from ..concepts import Concept
from ..masks.low_rank import Moment, Response
from ..masks.mask import NeuronMask
from ..masks.pruning import refuse_if_pruned
from ..masks.rewriting import Rewriting, Source
from ..models.layers import count_parameters, layer_shapes
from ..models.lock import held
from ..models.pipelines import get_denoiser, known_names
from ..prompts import ConceptPairs
from ..provenance import hash_json
from ..settings import Settings, SettingsByName
from .authors_code import select_as_authors_code
from .collect import collect_statistics
from .neurons import select_neurons
from .plan import FindingPlan, plan_finding
from .probe import warn_of_unknown
from .progress import OnStep, Progress
from .record import record
from .retained import retain
from .saliency import connection_saliency
from .unfinished import Unfinished

log = logging.getLogger("fia")


def forget(
    pipe: DiffusionPipeline,
    concepts: str | Concept | Iterable[str | Concept],
    settings: Settings | None = None,
    *,
    keep: str | Concept | Iterable[str | Concept] = (),
    call: Mapping[str, Any] | None = None,
    progress: bool = True,
    **overrides: Unpack[SettingsByName],
) -> NeuronMask:
    """Makes a pipeline forget concepts, in place and without training, and returns the mask that does it.

    Args:
        pipe: a text-to-image pipeline of a family in docs/families.md, or any other pipeline if you give `layers`.
        concepts: names of objects. For styles, explicit content, your own prompts or ratios, give a `Concept` for each.
        settings: the settings. None takes those recommended for the model (docs/recommended.md), or else the defaults.
        keep: names of what the model must go on drawing, such as the neighbours of a concept. A list of common things
            is kept without being named.
        call: further arguments of the pipeline while finding, such as {"height": 512, "width": 768}. They are recorded
            with the mask.
        progress: whether to show a progress bar.
        **overrides: single settings, such as `spatial_ratio=0.03`.

    Returns:
        The mask, already applied. `mask.remove(pipe)` undoes it.

    Raises:
        TypeError: if the pipeline cannot be masked, or a setting or an argument of the pipeline does not exist.
        ValueError: if a setting is out of range, if no concept is given or one is given twice, or if the pipeline
            already carries a mask.
    """
    with held(get_denoiser(pipe)):
        mask = find(pipe, concepts, settings, keep=keep, call=call, progress=progress, **overrides)
        mask.apply(pipe)
    return mask


def find(
    pipe: DiffusionPipeline,
    concepts: str | Concept | Iterable[str | Concept],
    settings: Settings | None = None,
    *,
    keep: str | Concept | Iterable[str | Concept] = (),
    call: Mapping[str, Any] | None = None,
    progress: bool = True,
    on_step: OnStep | None = None,
    unfinished: str | Path | None = None,
    processes: PartialState | None = None,
    **overrides: Unpack[SettingsByName],
) -> NeuronMask:
    """Finds the mask that makes a pipeline forget concepts, and leaves the pipeline as it is; see `forget`.

    Args:
        pipe: see `forget`.
        concepts: see `forget`.
        settings: see `forget`.
        keep: see `forget`.
        call: see `forget`.
        progress: whether to show a progress bar.
        on_step: called after each step with the number of steps done and the number of all steps. A step is a step of
            the denoiser for all prompts of a group of concepts. An exception from it stops the run.
        unfinished: a folder that keeps the neurons of finished concepts while the run looks for the others. Give it
            again after an interruption, and the run goes on from there. Delete it yourself when you are done.
        processes: accelerate's state, if several processes share the work. Each must call this with the same arguments
            and its own copy of the model, and each gets the mask. It is the mask that one process would find. The
            processes wait for each other, so give them a timeout longer than the run:
            PartialState(timeout=timedelta(days=1)).
        **overrides: single settings, such as `spatial_ratio=0.03`.
    """
    with held(get_denoiser(pipe)):
        return find_planned(
            plan_finding(pipe, concepts, settings, keep=keep, call=call, **overrides),
            progress=progress,
            on_step=on_step,
            unfinished=unfinished,
            processes=processes,
        )


def find_planned(
    plan: FindingPlan,
    *,
    progress: bool = True,
    on_step: OnStep | None = None,
    unfinished: str | Path | None = None,
    processes: PartialState | None = None,
) -> NeuronMask:
    """Runs a plan and returns the mask; see `find`."""
    with held(plan.denoiser):
        refuse_if_pruned(plan.denoiser, "and neurons must be found on the original weights")
        if not known_names(plan.pipe) and (processes is None or processes.is_main_process):
            warn_of_unknown(plan)
        return _run(plan, progress, on_step, unfinished, processes)


def _run(
    plan: FindingPlan,
    progress: bool,
    on_step: OnStep | None,
    unfinished: str | Path | None,
    processes: PartialState | None,
) -> NeuronMask:
    index, number = (0, 1) if processes is None else (processes.process_index, processes.num_processes)
    own_groups = plan.groups[index::number]
    # With a single group there is nothing to resume, so we do not hash the model.
    kept = Unfinished(Path(unfinished), plan) if unfinished is not None and len(plan.groups) > 1 else None
    masks = []
    with Progress(plan.steps_in_all(index, number), shown=progress and index == 0, on_step=on_step) as steps:
        for group in own_groups:
            mask = kept.get(group) if kept else None
            if mask is not None:
                steps.skip(plan.steps_of_group)
            else:
                names = [concept.name for concept, _ in group]
                steps.describe(f"Finding {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else ""))
                started = time.perf_counter()
                neurons, rewriting = find_group(plan, group, steps)
                mask = _mask(plan, group, neurons, rewriting, time.perf_counter() - started)
                if kept:
                    kept.keep(group, mask)
            masks.append(mask)
        started = time.perf_counter()
        sources, near = ({}, {}) if plan.settings.is_zero else retain(plan, steps, processes)
    if number > 1:
        masks = gather_object(masks)
    by_name = {name: own for mask in masks for name, own in mask.neurons.items()}
    seconds = sum(mask.provenance[0]["seconds"] for mask in masks) + time.perf_counter() - started
    found = [mask.rewriting for mask in masks if mask.rewriting is not None]
    rewriting = None
    if found:
        joined, names = reduce(or_, found), [concept.name for concept, _ in plan.pairs]
        rewriting = replace(
            joined,
            moments={name: joined.moments[name] for name in names},
            responses={name: joined.responses[name] for name in names},
            sources=joined.sources | sources,
            near=near,
        )
    mask = _mask(plan, plan.pairs, by_name, rewriting, seconds)
    mask.warn_if_idle()
    return mask


def _mask(
    plan: FindingPlan,
    pairs: ConceptPairs,
    neurons: dict[str, dict[str, Tensor]],
    rewriting: Rewriting | None,
    seconds: float,
) -> NeuronMask:
    """Returns the mask of some of the concepts, in their order."""
    assert plan.settings.agnostic_ratio is not None
    assert plan.settings.sites is not None
    return NeuronMask(
        neurons={concept.name: neurons[concept.name] for concept, _ in pairs},
        shapes=layer_shapes(plan.layers),
        agnostic_ratio=plan.settings.agnostic_ratio,
        architecture=type(plan.denoiser).__name__,
        denoiser_parameters=count_parameters(plan.denoiser),
        weights_hash=plan.weights_hash,
        layer_pattern=plan.settings.layers,
        sites=plan.settings.sites,
        rewriting=rewriting,
        smallest_threshold=1 if plan.settings.as_authors_code else 2,
        provenance=[record(plan, pairs, seconds)],
    )


def find_group(
    plan: FindingPlan, group: ConceptPairs, steps: Progress
) -> tuple[dict[str, dict[str, Tensor]], Rewriting | None]:
    """Finds concepts with the same base prompts.

    Args:
        plan: the plan that the group belongs to.
        group: the concepts and their prompt pairs.
        steps: counts the steps.

    Returns:
        Each concept's neurons by layer (flat int32 indices on the CPU); and what it takes to rewrite them, which
        retains only the base prompts, or None if they become zero.
    """
    names, settings = [concept.name for concept, _ in group], plan.settings
    found: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    moments: dict[str, dict[str, Moment]] = {name: {} for name in names}
    responses: dict[str, dict[str, Response]] = {name: {} for name in names}
    base: dict[str, Moment] = {}
    ratios = [plan.spatial_ratio(concept) for concept, _ in group]
    assert settings.magnitude is not None
    select = select_as_authors_code if settings.as_authors_code else select_neurons
    for layers in plan.memory.parts:
        statistics, sketches = collect_statistics(plan, layers, group, steps, connection_saliency)
        for i, (name, ratio) in enumerate(zip(names, ratios, strict=True)):
            found[name] |= {
                layer: select(sums.integrals[i].aggregate(settings.magnitude), ratio).int().cpu()
                for layer, sums in statistics.layers.items()
            }
        del statistics  # frees the memory for the sums of the next part
        for layer, sketch in ({} if sketches is None else sketches.layers).items():
            base[layer] = sketch.base.low_rank(settings.moment_rank)
            for i, name in enumerate(names):
                moments[name][layer] = sketch.moments[i].low_rank(settings.moment_rank)
                response = sketch.responses[i].low_rank(settings.response_rank)
                responses[name][layer] = response.times(settings.target_scale)
    for (name, own), ratio in zip(found.items(), ratios, strict=True):
        if ratio > 0 and not any(map(len, own.values())):
            log.warning(
                f"No connection answers to {name!r} more than to its base prompts; nothing is changed for it. Check "
                "that the model knows this name, or give Concept(prompts=...)."
            )
    if settings.is_zero:
        return found, None
    key = hash_json([(pair.base_prompt, pair.seed) for pair in group[0][1]])[:16]
    sources = {f"base {key}": Source("base", base)}
    return found, Rewriting(moments, responses, sources, {}, settings.retain_weight, settings.ridge)
