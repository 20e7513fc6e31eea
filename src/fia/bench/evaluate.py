"""Measures what a model still generates after an edit: the tasks by name, on the embedded model or on any other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import DiffusionPipeline

from ..concepts import Concept, as_concepts
from ..drawing.images import Drawing
from ..edits.edited import load_edited
from ..edits.interface import Edit, NoEdit
from ..errors import ArgumentError, UsageError, did_you_mean
from ..evaluation import build
from ..evaluation.forgotten import forgotten_concepts
from ..evaluation.questions import Group, first_of_each
from ..evaluation.records import EditName, EvaluationResult, TaskResult
from ..evaluation.report import write_report
from ..evaluation.run import MASKED, RANDOM, UNTOUCHED, Evaluation, MadeEdit
from ..evaluation.tasks import Task
from ..files import write_json
from ..masks.mask import NeuronMask
from ..masks.pruning import refuse_if_pruned
from ..masks.random_control import random_mask
from ..models.pipelines import embedded_name, get_denoiser, identity_of, without_safety_checker
from ..processes import processes
from ..provenance import environment, hash_file, hash_folder
from ..recommended import GUIDANCE_SCALES
from ..testbed.judge import check_judged
from ..testbed.pretrained import FOLDER
from . import evaluation_tasks as testbed_tasks
from .questions import World

MOST_IN_CARD: dict[Group, int] = {"forgotten": 2, "kept": 1, "rest": 1}  # images of a task
TaskName = Literal["objects", "styles", "explicit", "quality", "robust-prompts"]


def evaluate(
    pipe: DiffusionPipeline,
    edit: NeuronMask | str | Path,
    out: str | Path,
    *,
    tasks: str | Sequence[str] = ("objects",),
    forgotten: str | Concept | Iterable[str | Concept] = (),
    keep: str | Concept | Iterable[str | Concept] = (),
    control: bool = True,
    **options: Any,
) -> EvaluationResult:
    """Measures a mask, or what another tool made, on the same prompts and seeds before and after.

    It writes `results.json`, `report.html` and every image into `out`. After an interruption, call it again with the
    same arguments and it goes on. docs/evaluation.md explains the tasks and the scores.

    Args:
        pipe: the untouched pipeline. It is untouched again at the end.
        edit: the mask; or the path of another tool's result: a diffusers folder, a denoiser's safetensors file, or a
            LoRA.
        out: folder for the results and images.
        tasks: what to measure: "objects", "styles", "explicit", "quality", "robust-prompts", or several.
        forgotten: what should be gone. By default the concepts of the mask.
        keep: what should be kept. By default the other concepts of the paper.
        control: whether to measure a random mask of equal size, too.
        **options: how to generate (num_inference_steps, guidance_scale, batch_size), and the numbers of images, prompts
            and judges: images_per_object, images_per_other, images_per_style, template and seed for an embedded model;
            images_per_concept, seed, classifier, clip, i2p, captions, most_captions, reference and inception for any
            other. `fia evaluate --help` explains them.

    Returns:
        What `results.json` holds: for each task and state ("untouched", "masked" or "edited", "random mask") its
        scores.

    Raises:
        TypeError: if `pipe` or `edit` is something else, or an option does not exist.
        ValueError: if a task is unknown, `forgotten` is missing, the edit does not fit the pipeline or is applied to it
            already, or `out` holds an evaluation of something else.
    """
    get_denoiser(pipe)
    if not isinstance(edit, NeuronMask | str | Path):
        raise ArgumentError(f"edit is a {type(edit).__name__}; give a mask, or the path of what another tool made.")
    kinds = (Drawing, World if embedded_name(pipe) else build.Sources)
    known = {own.name: kind for kind in kinds for own in fields(kind)}
    for name in options:
        if name not in known:
            raise ArgumentError(
                f"There is no option {name!r} for this model.{did_you_mean(name, known)} It has: {', '.join(known)}."
            )
    drawing, about = (kind(**{name: options[name] for name in options if known[name] is kind}) for kind in kinds)
    assert isinstance(drawing, Drawing)
    world, sources = (about, build.Sources()) if isinstance(about, World) else (World(), about)
    assert isinstance(sources, build.Sources)
    made = edit if isinstance(edit, NeuronMask) else load_edited(Path(edit))
    return measure(pipe, made, name_of(edit), Path(out), tasks, forgotten, keep, control, drawing, sources, world)


def measure(
    pipe: DiffusionPipeline,
    edit: Edit,
    edit_name: EditName,
    out: Path,
    tasks: str | Sequence[str],
    forgotten: str | Concept | Iterable[str | Concept],
    keep: str | Concept | Iterable[str | Concept],
    control: bool,
    drawing: Drawing,
    sources: build.Sources,
    world: World,
) -> EvaluationResult:
    """Does what `evaluate` does, with a loaded edit and its name, and with the options in their classes."""
    mask = edit if isinstance(edit, NeuronMask) else None
    names = list(dict.fromkeys([tasks] if isinstance(tasks, str) else tasks))
    unknown = [name for name in names if name not in testbed_tasks.KINDS and name != "quality"]
    if unknown:
        known = ", ".join((*testbed_tasks.KINDS, "quality"))
        raise UsageError(f"There is no task {unknown[0]!r}; give some of: {known}.")
    refuse_if_pruned(get_denoiser(pipe), "and the untouched model has to be measured, too")
    check_judged(pipe)
    gone = forgotten_concepts(mask, forgotten, flag="--forgotten")
    checker = getattr(pipe, "safety_checker", None)
    without_safety_checker(pipe)
    try:
        edit.check(pipe)
        kept = as_concepts(keep) if keep else []
        built = [_build(pipe, name, world, sources, gone, kept) for name in names]
        if drawing.guidance_scale is None:
            drawing = replace(drawing, guidance_scale=GUIDANCE_SCALES.get(embedded_name(pipe)))
        model = identity_of(pipe)
        evaluation = Evaluation(out, pipe, drawing, model)
        edits = _states(edit, control)
        evaluation.announce(built, list(edits))
        result: EvaluationResult = {
            "model": model,
            "edit": edit_name,
            "forgotten": [asdict(concept) | {"prompts": [], "synonyms": list(concept.synonyms)} for concept in gone],
            "drawing": asdict(drawing),
            "seed": world.seed if embedded_name(pipe) else sources.seed,
            "environment": environment(pipe.device),
            "tasks": {task.name: _measure(evaluation, task, edits, edit_name) for task in built},
        }
    finally:
        if checker is not None:
            pipe.safety_checker = checker
    if processes().is_main_process:
        write_json(out / "results.json", result)
        write_report(evaluation, result, built, mask)
    return result


def _build(
    pipe: DiffusionPipeline,
    name: str,
    world: World,
    sources: build.Sources,
    forgotten: list[Concept],
    keep: list[Concept],
) -> Task:
    if embedded_name(pipe):
        return testbed_tasks.build_task(name, world, forgotten, keep, FOLDER)
    return build.build_task(name, sources, forgotten, keep, torch.device(pipe.device))


def name_of(edit: NeuronMask | str | Path) -> EditName:
    """Returns what identifies the edit."""
    if isinstance(edit, NeuronMask):
        return {"mask": list(edit.concepts), "fingerprint": edit.fingerprint}
    path = Path(edit)
    return {"edited": path.name, "hash": hash_folder(path) if path.is_dir() else hash_file(path)}


def _states(edit: Edit, control: bool) -> dict[str, Callable[[], MadeEdit]]:
    """Returns what makes the edit of each state."""
    edits: dict[str, Callable[[], MadeEdit]] = {UNTOUCHED: lambda: MadeEdit(NoEdit())}
    edits[MASKED if isinstance(edit, NeuronMask) else "edited"] = lambda: MadeEdit(edit)
    if isinstance(edit, NeuronMask) and control:
        edits[RANDOM] = lambda: MadeEdit(random_mask(edit))
    return edits


def _measure(
    evaluation: Evaluation, task: Task, edits: dict[str, Callable[[], MadeEdit]], edit_name: EditName
) -> TaskResult:
    """Returns a task's scores in every state, including the comparison with the untouched model."""
    made_with: dict[str, EditName] = {name: {"state": name} for name in edits}
    made_with |= {name: own | edit_name for name, own in made_with.items() if name != UNTOUCHED}
    states = evaluation.states(task, {name: (make, made_with[name]) for name, make in edits.items()})
    return {
        "measured_with": task.measured_with,
        "images": len(task.questions),
        "prompts": task.digest,
        "states": {name: state.scores for name, state in states.items()},
        "shown": [{"number": i, "prompt": task.requests[i].prompt} for i in first_of_each(task.questions, MOST_IN_CARD)]
        if not task.is_explicit
        else [],
    }
