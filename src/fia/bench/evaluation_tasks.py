"""The tasks of `fia evaluate` on the embedded model, with its own classifier, CLIP and rendered scenes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from ..concepts import Concept
from ..drawing.images import Request
from ..errors import UsageError
from ..evaluation.clip_score import ClipScorer
from ..evaluation.frechet import Gaussian
from ..evaluation.network import ImageNetwork
from ..evaluation.questions import Question
from ..evaluation.rephrase import ASKED, rephrasings
from ..evaluation.tasks import AccuracyTask, QualityTask, StyleTask, Task
from ..prompts import fill
from ..testbed.captions import kind_of
from ..testbed.judge import load_judge
from ..testbed.scenes import Scenes
from ..testbed.world import (
    IMAGENETTE,
    NO_STYLE,
    OBJECT_NAMES,
    OBJECTS,
    PERSON_NAMES,
    PLACE_NAMES,
    SMOKING,
    STYLE_NAMES,
    check_known,
)
from .questions import Scene, World, ask, scenes

KINDS = {"objects": "object", "styles": "style", "explicit": "explicit", "robust-prompts": "object"}


def build_task(name: str, world: World, concepts: Sequence[Concept], keep: Sequence[Concept], weights: Path) -> Task:
    """Returns a task of `fia evaluate` on the embedded model.

    Args:
        name: objects, styles, explicit, quality or robust-prompts.
        world: how much to generate.
        concepts: the concepts that are forgotten. The task takes those of its kind.
        keep: subjects to keep, which are counted apart from the rest; by default the others of Imagenette's ten.
        weights: folder with the judge and the CLIP.

    Raises:
        ValueError: if the embedded model does not know a concept, or no concept is of the task's kind.
    """
    check_known(concepts, (*OBJECT_NAMES, *STYLE_NAMES, SMOKING))
    check_known(keep, OBJECT_NAMES + PERSON_NAMES)
    judge = load_judge(weights)
    if name == "quality":
        return quality_task(world, concepts, weights)
    wanted = [concept for concept in concepts if KINDS[name] == kind_of(concept.name)]
    if not wanted:
        raise UsageError(
            f"The task {name!r} needs a forgotten concept of kind {KINDS[name]!r}, and there is none. Leave the "
            "task out."
        )
    if name == "robust-prompts":
        return AccuracyTask(name, rephrased_questions(world, wanted), judge)
    kept = [concept.name for concept in keep] or IMAGENETTE
    questions = ask(world, concepts, kept, about=[concept.name for concept in wanted])
    if name == "styles":
        return StyleTask(questions, ClipScorer(str(weights / "clip")), judge)
    return AccuracyTask(name, questions, judge)


def rephrased_questions(world: World, concepts: Sequence[Concept]) -> list[Question]:
    """Returns questions about objects whose prompts are reworded, `images_per_other` for each prompt."""
    synonyms = {thing.name: thing.synonyms for thing in OBJECTS}
    questions: list[Question] = []
    for concept in concepts:
        prompts = rephrasings(concept.name)
        prompts += [("word of the captions", fill(ASKED, concept=word)) for word in synonyms[concept.name]]
        for variant, prompt in prompts:
            for _ in range(world.images_per_other):
                request = Request(prompt, world.seed + len(questions))
                questions.append(Question(request, "subject", concept.name, "forgotten", variant=variant))
    return questions


def quality_task(world: World, concepts: Sequence[Concept], weights: Path) -> QualityTask:
    """Returns the task quality, about everything that is not forgotten. Rendered scenes are the reference images."""
    forgotten = {concept.name for concept in concepts}
    shown = [scene for scene in scenes(world) if not {scene.subject, scene.style, SMOKING * scene.smokes} & forgotten]
    questions = [Question(scene.request, "", scene.subject, "rest") for scene in shown]
    network = ImageNetwork(str(weights / "classifier"))
    reference = network.identity, network.pooled, Gaussian.of(network.pooled, rendered(shown, world))
    return QualityTask(questions, ClipScorer(str(weights / "clip")), network, reference)


def rendered(shown: Sequence[Scene], world: World) -> list[Image.Image]:
    """Returns an image of each scene, rendered as for the training data."""
    subjects = torch.tensor([(OBJECT_NAMES + PERSON_NAMES).index(scene.subject) for scene in shown])
    styles = torch.tensor([STYLE_NAMES.index(scene.style) if scene.style else NO_STYLE for scene in shown])
    places = torch.tensor([PLACE_NAMES.index(scene.place) for scene in shown])
    attributes = torch.tensor([int(scene.smokes) for scene in shown])
    batch = Scenes(torch.device("cpu")).sample(
        len(shown),
        torch.Generator().manual_seed(world.seed),
        subjects=subjects,
        places=places,
        styles=styles,
        attributes=attributes,
    )
    pixels = ((batch.images.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(array) for array in pixels]
