"""The demonstration: forget five of the ten Imagenette objects on the embedded model, and keep everything else.

It generates the same prompts and seeds four times: with the untouched model, under the mask, under a random mask of
equal size, and with only one of the five forgotten. Neurons are found with other prompts and seeds. If you start it
again with the same folder, it continues.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import torch
from diffusers import DiffusionPipeline

from ..drawing.images import Drawing, generate_images
from ..evaluation import summary
from ..evaluation.records import Scores
from ..evaluation.report import grid
from ..evaluation.run import MASKED, RANDOM, UNTOUCHED, Evaluation, State
from ..evaluation.tasks import AccuracyTask
from ..files import slug, write_json, written_whole
from ..finding.plan import choose_settings
from ..methods import FIA
from ..models.pipelines import model_name
from ..provenance import environment, hash_pipeline
from ..recommended import GUIDANCE_SCALES
from ..testbed.judge import load_judge
from ..testbed.pretrained import FOLDER, Architecture, load_testbed
from ..testbed.world import IMAGENETTE
from .edit_store import OURS, EditStore
from .questions import World, ask
from .tasks import BenchTask

FORGOTTEN, KEPT = IMAGENETTE[:5], IMAGENETTE[5:]
ALONE = "church"  # the object that we also forget alone
ALONE_STATE = f"{ALONE} alone"
SHOWN = (UNTOUCHED, MASKED, RANDOM)  # states in the table and the picture


@dataclass(frozen=True)
class DemoConfig:
    """What the demonstration generates."""

    architecture: Architecture = "unet"
    """Denoiser of the embedded model that generates."""
    world: World = field(default_factory=lambda: World(seed=1000))
    drawing: Drawing = field(default_factory=lambda: Drawing(25, GUIDANCE_SCALES["testbed"]))


class MaskSize(TypedDict):
    """How a mask was found, and how much it prunes.

    Attributes:
        settings: the fields of `Settings`.
        spatial_ratios: r2 of each concept that has its own.
        pruned: number of pruned connections.
        spared: number of spared connections.
        sparsity: share of the maskable layers that the mask prunes, in [0, 1].
        denoiser_sparsity: share of the denoiser that the mask prunes, in [0, 1].
        seconds_per_concept: time to find the neurons of one concept.
    """

    settings: dict[str, Any]
    spatial_ratios: dict[str, float]
    pruned: int
    spared: int
    sparsity: float
    denoiser_sparsity: float
    seconds_per_concept: float


class Alone(TypedDict):
    """Scores before and after one object is forgotten alone. All other objects are the rest."""

    concept: str
    before: Scores
    after: Scores
    mask: MaskSize


class DemoResult(TypedDict):
    """The content of result.json, which the demonstration writes.

    Attributes:
        model: name of the model.
        forgotten: the objects that should be gone.
        kept: the objects that are named to be kept.
        images: number of images of each state.
        world: prompts and seeds.
        drawing: how the images were generated.
        states: the scores of the untouched model, under the mask, and under the random mask.
        mask: the mask of the five objects.
        alone: results for one object that is forgotten alone.
        bit_identical_after_removal: whether the model generates exactly the same images again without the mask.
        environment: versions, device and commit.
        threads: number of CPU threads.
    """

    model: str
    forgotten: list[str]
    kept: list[str]
    images: int
    world: dict[str, object]
    drawing: dict[str, object]
    states: dict[str, Scores]
    mask: MaskSize
    alone: Alone
    bit_identical_after_removal: bool
    environment: dict[str, object]
    threads: int


def run_demo(
    out: Path, config: DemoConfig, overrides: Mapping[str, Any] | None = None, weights: Path = FOLDER
) -> DemoResult:
    """Runs the demonstration, writes `result.json`, `comparison.png` and `mask/` into `out`, and returns the result.

    Args:
        out: folder for these files and for the images.
        config: what to generate.
        overrides: fields of `Settings` that replace the recommended ones.
        weights: folder that `fia testbed train` wrote.

    Raises:
        RuntimeError: if images are not bit-identical after the mask is removed.
        ValueError: if the folder holds a demonstration with other settings, prompts, model or versions.
    """
    pipe, judge = load_testbed(weights, config.architecture), load_judge(weights)
    evaluation = Evaluation(out, pipe, config.drawing, hash_pipeline(pipe))
    five, alone = (edit_store(evaluation, names, overrides or {}) for names in (FORGOTTEN, (ALONE,)))
    task = AccuracyTask("demonstration", ask(config.world, five.task.concepts, KEPT), judge)
    states = evaluate_states(evaluation, task, five, alone)
    five.mask().save_pretrained(out / "mask")
    with written_whole(out / "comparison.png") as file:
        images = {state: states[state].images for state in SHOWN}
        grid(task, images, {"forgotten": 5, "kept": 5, "rest": 2}).save(file, format="PNG")
    untouched = load_testbed(weights, config.architecture)
    result: DemoResult = {
        "model": model_name(pipe),
        "forgotten": list(FORGOTTEN),
        "kept": list(KEPT),
        "images": len(task.questions),
        "world": asdict(config.world),
        "drawing": asdict(config.drawing),
        "states": {state: states[state].scores for state in SHOWN},
        "mask": mask_size(five),
        "alone": ask_about_alone(config.world, task, states, alone),
        "bit_identical_after_removal": first_pixels(pipe, task) == first_pixels(untouched, task),
        "environment": environment(pipe.device),
        "threads": torch.get_num_threads(),
    }
    write_json(out / "result.json", result)
    if not result["bit_identical_after_removal"]:
        raise RuntimeError("After the mask was removed, images differ from the untouched model's. Please report this.")
    return result


def edit_store(evaluation: Evaluation, names: Sequence[str], overrides: Mapping[str, Any]) -> EditStore:
    """Returns the store of the mask that forgets some objects together, with the recommended settings."""
    concepts, settings = choose_settings(evaluation.pipe, names, None, overrides)
    task = BenchTask(f"forget {', '.join(names)}", tuple(concepts), KEPT)
    folder = evaluation.out / "edits" / slug(task.name)
    return EditStore(folder, evaluation.pipe, task, {OURS: FIA(settings)}, str(evaluation.model))


def evaluate_states(evaluation: Evaluation, task: AccuracyTask, five: EditStore, alone: EditStore) -> dict[str, State]:
    """Generates and scores the images of every state. Skips what is there already."""
    edits = {UNTOUCHED: (five, UNTOUCHED), MASKED: (five, OURS), RANDOM: (five, RANDOM), ALONE_STATE: (alone, OURS)}
    return {
        state: evaluation.state(task, state, partial(store.make, edit), store.made_with(edit))
        for state, (store, edit) in edits.items()
    }


def ask_about_alone(world: World, task: AccuracyTask, states: Mapping[str, State], store: EditStore) -> Alone:
    """Scores the same images again for the object that is forgotten alone, with all others as the rest."""
    about = AccuracyTask(ALONE_STATE, ask(world, store.task.concepts, []), task.judge)
    assert about.requests == task.requests
    return {
        "concept": ALONE,
        "before": about.score(states[UNTOUCHED].images),
        "after": about.score(states[ALONE_STATE].images),
        "mask": mask_size(store),
    }


def mask_size(store: EditStore) -> MaskSize:
    """Returns how a store's mask was found and how much it prunes."""
    mask, costs = store.mask(), store.make(OURS).costs
    return {
        "settings": mask.provenance[0]["settings"],
        "spatial_ratios": {c.name: c.spatial_ratio for c in store.task.concepts if c.spatial_ratio is not None},
        "pruned": mask.number_pruned,
        "spared": mask.number_spared,
        "sparsity": mask.sparsity,
        "denoiser_sparsity": mask.denoiser_sparsity,
        "seconds_per_concept": costs["seconds"] / len(mask.concepts),
    }


def first_pixels(pipe: DiffusionPipeline, task: AccuracyTask) -> list[bytes]:
    """Returns the pixels of the first four images, generated in ten steps."""
    prompts, seeds = [request.prompt for request in task.requests[:4]], [request.seed for request in task.requests[:4]]
    images = generate_images(pipe, prompts, seeds, num_inference_steps=10, progress=False)
    return [image.tobytes() for image in images]


def text(result: DemoResult) -> str:
    """Returns the result as a table for the terminal."""
    return f"{summary.state_table('five objects forgotten', result['states'])}\n\n{alone_summary(result['alone'])}"


def alone_summary(alone: Alone) -> str:
    """Returns a sentence about the object that is forgotten alone."""
    before, after = alone["before"], alone["after"]
    still, still_before, others, others_before = (
        "-" if value is None else f"{value['percent']:.1f}"
        for value in (after["still_detected"], before["still_detected"], after["rest"], before["rest"])
    )
    ratio = alone["mask"]["spatial_ratios"].get(alone["concept"], alone["mask"]["settings"]["spatial_ratio"])
    return (
        f"If {alone['concept']} is forgotten alone (r2 = {ratio:.0%}), it is still detected in {still} % of its images "
        f"({still_before} % before). The other objects are detected in {others} % ({others_before} % before)."
    )
