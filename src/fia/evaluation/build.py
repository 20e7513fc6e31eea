"""The tasks of `fia evaluate` on any model but the embedded ones: ImageNet classes, artists by CLIP, I2P, captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..concepts import PRESETS, Concept
from ..drawing.gallery import Gallery
from ..drawing.images import Request
from ..errors import NotFoundError, UsageError
from ..prompts import OBJECTS, fill
from ..provenance import Identity
from ..settings import check_at_least_one
from .clip_score import ClipScorer
from .frechet import Features, Gaussian
from .judges import ImageNetJudge, NudeNetJudge
from .network import ImageNetwork, Inception
from .questions import Group, Question
from .rephrase import rephrasings
from .sources import read_captions, read_i2p
from .tasks import AccuracyTask, ExplicitTask, QualityTask, StyleTask, Task

PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Sources:
    """The judges and prompts of the tasks. The embedded model has its own."""

    images_per_concept: int = 50
    """Images of each class and of each artist. A reworded prompt gets a tenth as many."""
    seed: int = 2000
    """Seed of the first image of a task; the others count up from it. I2P has its own seeds."""
    classifier: str = "microsoft/resnet-50"
    """Classifier of ImageNet's classes, in the format of transformers: a folder, or a repository on the Hub."""
    clip: str = "openai/clip-vit-large-patch14"
    """CLIP for the styles and for the CLIP score: a folder, or a repository on the Hub."""
    i2p: Path | None = None
    """CSV file of I2P, for the task explicit."""
    captions: Path | None = None
    """File of captions for the task quality: text with one caption on each line, or COCO's captions_val2014.json."""
    most_captions: int | None = None
    """Number of captions to generate, from the start of the file. Without it, all of them."""
    reference: Path | None = None
    """Real images for the Frechet distance: a folder, or an .npz file with their statistics (mu, sigma)."""
    inception: Path | None = None
    """TorchScript file of FID's network. Without it, the Frechet distance uses the features of the classifier."""

    def __post_init__(self) -> None:
        check_at_least_one(self, "images_per_concept")


def build_task(
    name: str, sources: Sources, concepts: Sequence[Concept], keep: Sequence[Concept], device: torch.device
) -> Task:
    """Returns a task by its name.

    Args:
        name: objects, styles, explicit, quality or robust-prompts.
        sources: the prompts and judges.
        concepts: the concepts that are forgotten. The task takes those of its kind.
        keep: objects and artists to keep. If none is of the task's kind, the task takes the paper's others.
        device: the device of the judges.

    Raises:
        ValueError: if the classifier does not know a class, a file is missing, or no concept is of the task's kind.
    """
    if name == "explicit":
        return ExplicitTask(read_i2p(needed(sources.i2p, "--i2p", "I2P's prompts")), NudeNetJudge())
    if name == "quality":
        return quality_task(sources, device)
    kind = "style" if name == "styles" else "object"
    forgotten = [concept.name for concept in concepts if concept.kind == kind]
    if not forgotten:
        raise UsageError(
            f"The task {name!r} needs a forgotten concept of kind {kind!r}, and there is none. Leave the task out."
        )
    usual = PRESETS["artists" if name == "styles" else "imagenette"]
    gone = {one.lower() for one in forgotten}
    named = [concept.name for concept in keep if concept.kind == kind]
    kept = named or [concept.name for concept in usual if concept.name.lower() not in gone]
    groups: list[tuple[str, Group]] = [(one, "forgotten") for one in forgotten] + [(one, "kept") for one in kept]
    if name == "styles":
        return StyleTask(style_questions(groups, sources), ClipScorer(sources.clip, device))
    network = ImageNetwork(sources.classifier, device)
    if name == "objects":
        return AccuracyTask(name, object_questions(groups, sources), ImageNetJudge(network, [*forgotten, *kept]))
    return AccuracyTask(name, rephrased_questions(forgotten, sources), ImageNetJudge(network, forgotten))


def object_questions(
    groups: Sequence[tuple[str, Group]], sources: Sources, template: str = "a photo of a {object}"
) -> list[Question]:
    """Returns questions about images of each class, whose name the template takes."""
    questions: list[Question] = []
    for name, group in groups:
        for _ in range(sources.images_per_concept):
            request = Request(fill(template, object=name), sources.seed + len(questions))
            questions.append(Question(request, "subject", name, group))
    return questions


def style_questions(groups: Sequence[tuple[str, Group]], sources: Sources) -> list[Question]:
    """Returns questions about objects in each artist's style."""
    things = OBJECTS[::-1]
    questions: list[Question] = []
    for artist, group in groups:
        for i in range(sources.images_per_concept):
            prompt = fill("a {object} painted in the style of {artist}", object=things[i % len(things)], artist=artist)
            questions.append(Question(Request(prompt, sources.seed + len(questions)), "style", artist, group))
    return questions


def rephrased_questions(names: Sequence[str], sources: Sources) -> list[Question]:
    """Returns questions about classes whose prompts are reworded."""
    questions: list[Question] = []
    for name in names:
        for variant, prompt in rephrasings(name):
            for _ in range(max(1, sources.images_per_concept // 10)):
                request = Request(prompt, sources.seed + len(questions))
                questions.append(Question(request, "subject", name, "forgotten", variant=variant))
    return questions


def quality_task(sources: Sources, device: torch.device) -> QualityTask:
    """Returns the task quality. It measures a Frechet distance if there are reference images."""
    file = needed(sources.captions, "--captions", "captions")
    questions = read_captions(file, sources.seed, sources.most_captions)
    network = ImageNetwork(sources.classifier, device)
    reference: tuple[Identity, Features, Gaussian] | None = None
    if sources.reference is not None:
        measure = Inception(sources.inception, device) if sources.inception else network
        reference = measure.identity, measure.pooled, reference_gaussian(sources.reference, measure.pooled)
    elif sources.inception is not None:
        raise UsageError(f"inception={sources.inception} needs reference images: give --reference too.")
    return QualityTask(questions, ClipScorer(sources.clip, device), network, reference)


def reference_gaussian(reference: Path, features: Features) -> Gaussian:
    """Returns the Gaussian of real images: of a folder with images, or from an .npz file with their statistics."""
    if reference.is_dir():
        return Gaussian.of(features, Gallery(pictures(reference)))
    return Gaussian.from_file(reference)


def pictures(folder: Path) -> list[Path]:
    """Returns the image files of a folder, in order.

    Raises:
        ValueError: if the folder holds no images.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise UsageError(f"{folder} holds no images. Give a folder with images ({', '.join(PICTURES)}).")
    return files


def needed(file: Path | None, flag: str, what: str) -> Path:
    """Returns the file.

    Raises:
        ValueError: if none is given. It names the flag.
        FileNotFoundError: if it is not there.
    """
    if file is None:
        raise UsageError(f"This task needs {what}, which do not come with the package: give their file with {flag}.")
    if not file.is_file():
        raise NotFoundError(f"There is no file {file}. Give the file of {what} with {flag}.")
    return file
