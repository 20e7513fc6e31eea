"""Runs every method on every task, with the same prompts and seeds, and goes on where it was interrupted.

A method on a task has a folder `runs/TASK/METHOD` with its pictures, numbered as the task asks for them, and, once it
is complete, `result.json`. All of them together are `results.json`, which does not depend on interruptions or on the
machine's speed; what the edits cost is in `costs.json`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionPipeline
from PIL import Image
from transformers import ResNetForImageClassification

from ..evaluation import generate_images
from ..evaluation.provenance import environment, hash_folder, hash_json
from ..layers import count_parameters, get_denoiser
from ..mask import NeuronMask
from ..methods import Edit, Method, random_mask
from ..testbed.judge import judge
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE, load_classifier, load_testbed
from ..unlearn import versions
from .cost import Cost
from .report import comparison, write_report
from .scores import score, seen
from .tasks import Picture, Question, Task, pictures

NO_EDIT, RANDOM, OURS = "no edit", "random mask", "FIA"  # the control is as large as the mask of OURS


@dataclass(frozen=True)
class BenchConfig:
    """What the benchmark draws."""

    images_per_object: int = 16
    """Images of each of the first ten objects."""
    images_per_other: int = 4
    """Images of each of the other objects, and of each person who smokes and who does not."""
    images_per_style: int = 20
    """Images of each artist."""
    num_inference_steps: int = 25
    """Denoising steps of every image."""
    guidance_scale: float = GUIDANCE_SCALE
    """Classifier-free guidance of every image."""
    template: str = "a photo of a {subject} in a {place}"
    """Every prompt; none that neurons are found with."""
    seed: int = 2000
    """Seed of the first image; the others count up from it."""
    batch_size: int = 16
    """Images drawn at a time."""

    def __post_init__(self) -> None:
        for name in ("images_per_object", "images_per_other", "images_per_style", "num_inference_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; it must be at least 1.")


class NoEdit:
    """The model as it is."""

    @contextmanager
    def applied(self, pipe: StableDiffusionPipeline) -> Iterator[StableDiffusionPipeline]:
        """Changes nothing."""
        yield pipe


class Bench:
    """The model, its judge and the pictures to ask for; results go to a folder."""

    def __init__(self, out: Path, config: BenchConfig, weights: Path = FOLDER) -> None:
        """Loads the model and the judge from `weights`, a folder written by `fia testbed train`."""
        self.out, self.config = out, config
        self.pipe: StableDiffusionPipeline = load_testbed(weights)
        self.classifier: ResNetForImageClassification = load_classifier(weights)
        self.model_hash = hash_json([hash_folder(weights / "model"), hash_folder(weights / "classifier")])
        self.pictures: list[Picture] = pictures(
            config.images_per_object, config.images_per_other, config.images_per_style, config.template
        )

    def run(self, tasks: tuple[Task, ...], methods: Mapping[str, Method]) -> dict[str, Any]:
        """Runs what has not been run yet, and returns and writes all results; the controls come with it.

        Raises:
            ValueError: where the folder holds a run with other settings, prompts, model or versions.
        """
        names = [NO_EDIT, *methods, *([RANDOM] if OURS in methods else [])]
        results: dict[str, Any] = {task.name: {} for task in tasks}
        costs: dict[str, Any] = {task.name: {} for task in tasks}
        for task in tasks:

            @cache
            def edit(name: str, task: Task = task) -> tuple[Edit, dict[str, float]]:
                """Makes each edit once, where it is needed, and says what it cost."""
                if name == NO_EDIT:
                    return NoEdit(), {}
                if name == RANDOM:
                    mask, _ = edit(OURS)
                    assert isinstance(mask, NeuronMask)
                    return random_mask(mask), {}
                with Cost(self.pipe.device) as cost:
                    made = methods[name].unlearn(self.pipe, task.concepts, task.keep)
                return made, {"seconds": round(cost.seconds, 2), "megabytes": round(cost.memory_bytes / 2**20, 1)}

            for name in names:
                made_with = self.made_with(task, name, methods.get(OURS if name == RANDOM else name))
                results[task.name][name], costs[task.name][name] = self.run_one(task, name, made_with, edit)
            self.compare(task, names)
        shared = {"config": asdict(self.config), "model": self.model_hash, "versions": versions()}
        write_json(self.out / "results.json", {"made_with": shared, "tasks": results})
        write_json(self.out / "costs.json", {"environment": environment(self.pipe.device), "tasks": costs})
        everything = {"tasks": results, "costs": costs}
        write_report(self.out, everything)
        return everything

    def run_one(self, task: Task, name: str, made_with: dict[str, Any], edit: Any) -> tuple[dict, dict]:
        """Returns the scores and costs of a method on a task, drawing what is not drawn yet."""
        folder = self.folder(task, name)
        claim(folder, made_with)
        finished = folder / "result.json"
        if finished.exists():
            known = json.loads(finished.read_text(encoding="utf-8"))
            return known["scores"], known["cost"]
        questions = task.questions(self.pictures)
        made, cost = edit(name)
        with made.applied(self.pipe):
            images = self.draw(questions, folder, f"{task.name}: {name}")
        scores = score(questions, judge(self.classifier, images)) | {"changed_share": self.changed_share(made)}
        write_json(finished, {"scores": scores, "cost": cost})
        return scores, cost

    def draw(self, questions: Sequence[Question], folder: Path, description: str) -> list[Image.Image]:
        """Draws the pictures that the questions are about, those that the folder does not hold yet."""
        return generate_images(
            self.pipe,
            [question.picture.prompt for question in questions],
            [self.config.seed + question.picture.number for question in questions],
            num_inference_steps=self.config.num_inference_steps,
            guidance_scale=self.config.guidance_scale,
            batch_size=self.config.batch_size,
            folder=folder,
            description=description,
        )

    def compare(self, task: Task, names: Sequence[str]) -> None:
        """Writes the pictures of all methods on a task side by side, beside their folders."""
        questions = task.questions(self.pictures)
        images = {name: self.draw(questions, self.folder(task, name), f"{task.name}: comparison") for name in names}
        answers = {name: seen(questions, judge(self.classifier, drawn)) for name, drawn in images.items()}
        comparison(questions, images, answers).save(self.out / f"{slug(task.name)}.png")

    def folder(self, task: Task, name: str) -> Path:
        """Returns where a method's pictures for a task are."""
        return self.out / "runs" / slug(task.name) / slug(name)

    def changed_share(self, edit: Edit) -> float:
        """Returns the share of the denoiser's parameters that differ under the edit, counted."""
        denoiser = get_denoiser(self.pipe)
        before = {name: parameter.detach().clone() for name, parameter in denoiser.named_parameters()}
        with edit.applied(self.pipe):
            changed = sum(int((parameter != before[name]).sum()) for name, parameter in denoiser.named_parameters())
        return changed / count_parameters(denoiser)

    def made_with(self, task: Task, name: str, method: Method | None) -> dict[str, Any]:
        """Returns everything the scores of a method on a task depend on."""
        return {
            "method": {"name": name, "settings": asdict(method) if method is not None else {}},  # type: ignore[call-overload]
            "concepts": [asdict(concept) for concept in task.concepts],
            "keep": list(task.keep),
            "config": asdict(self.config),
            "prompts": hash_json([question.picture.prompt for question in task.questions(self.pictures)]),
            "model": self.model_hash,
            "versions": versions(),
        }


def claim(folder: Path, made_with: dict[str, Any]) -> None:
    """Writes what a folder's pictures are made with, or compares it with what is written there.

    Raises:
        ValueError: where they differ.
    """
    file = folder / "made_with.json"
    made_with = json.loads(json.dumps(made_with))
    if not file.exists():
        write_json(file, made_with)
        return
    known = json.loads(file.read_text(encoding="utf-8"))
    differing = [key for key in made_with if known.get(key) != made_with[key]]
    if differing:
        raise ValueError(
            f"{folder} holds results made with another {' and another '.join(differing)}; delete it, or write the "
            "results to another folder."
        )


def write_json(file: Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)


def slug(name: str) -> str:
    """Returns a name as a folder can be called."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
