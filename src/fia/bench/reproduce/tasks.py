"""The evaluation tasks of a protocol: the paper's prompts and judges, through what `fia evaluate` measures with."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from ...errors import UsageError
from ...evaluation.build import (
    Sources,
    build_task,
    needed,
    object_questions,
    reference_gaussian,
    style_questions,
)
from ...evaluation.clip_score import ClipScorer
from ...evaluation.frechet import Features, Gaussian, frechet_distance
from ...evaluation.judges import ImageNetJudge
from ...evaluation.network import ImageNetwork, Inception
from ...evaluation.questions import Group, Judge, Question
from ...evaluation.records import Scores
from ...evaluation.sources import read_captions
from ...evaluation.tasks import AccuracyTask, QualityTask, StyleTask, Task
from ...models.pipelines import embedded_name
from ...provenance import Identity
from ...testbed.judge import check_judged, load_judge
from ...testbed.pretrained import FOLDER
from ...testbed.world import OBJECT_NAMES, check_known
from .protocols import Protocol

TEMPLATE = "an image of a {object}"  # of the Imagenette prompts in the field's papers


class NameTask(StyleTask):
    """Similarity to the artist's name alone, which the authors' code measures."""

    text = "{artist}"


class CaptionTask(QualityTask):
    """The task quality, and the Frechet distance to the untouched model's images."""

    def __init__(
        self,
        questions: Sequence[Question],
        clip: ClipScorer,
        network: ImageNetwork,
        features: tuple[Identity, Features],
        reference: Gaussian | None,
    ) -> None:
        """Takes the questions and what it measures with; see `QualityTask`.

        Args:
            questions: the questions. Their prompts are the captions.
            clip: CLIP for the CLIP score.
            network: network for the perceptual distance.
            features: for the Frechet distances, the identity of a network, and its features.
            reference: the Gaussian of real images; None leaves the distance to them out.
        """
        super().__init__(questions, clip, network, None if reference is None else (*features, reference))
        if reference is None:
            self.measured_with.append(features[0])
        self.features = features[1]
        self._untouched: Gaussian | None = None

    def compare(self, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> Scores:
        """Returns the scores of `QualityTask`, and `frechet_from_untouched`."""
        if self._untouched is None:
            self._untouched = Gaussian.of(self.features, before)
        distance = frechet_distance(self._untouched, Gaussian.of(self.features, after))
        return {**super().compare(before, after), "frechet_from_untouched": round(distance, 4)}


def build_tasks(protocol: Protocol, sources: Sources, pipe: DiffusionPipeline, *, quality: bool) -> list[Task]:
    """Returns the evaluation tasks of a protocol. The embedded model has its own judges.

    Args:
        protocol: the protocol.
        sources: the numbers of images, and the judges.
        pipe: the model.
        quality: whether to measure images of captions, too.

    Raises:
        ValueError: if a file or a judge is missing, or the embedded model does not know a concept.
    """
    concepts, keep = protocol.task.concepts, protocol.task.keep
    device, embedded = torch.device(pipe.device), bool(embedded_name(pipe))
    check_judged(pipe)
    if embedded:
        check_known(concepts, OBJECT_NAMES)
        sources = replace(sources, classifier=str(FOLDER / "classifier"), clip=str(FOLDER / "clip"))
    if quality and (sources.captions is None or sources.inception is None):
        raise UsageError(
            f"{protocol.task.name} also measures images of captions, with FID's network. Give COCO's captions with "
            "--captions and the network with --inception, or leave them out with --no-quality."
        )
    groups: list[tuple[str, Group]] = [(concept.name, "forgotten") for concept in concepts]
    groups += [(name, "kept") for name in keep]
    tasks: list[Task] = []
    if protocol.measured == "explicit":
        tasks.append(build_task("explicit", sources, concepts, (), device))
    elif protocol.measured == "styles":
        tasks.append(NameTask(style_questions(groups, sources), ClipScorer(sources.clip, device)))
    else:
        judge: Judge = (
            load_judge()
            if embedded
            else ImageNetJudge(ImageNetwork(sources.classifier, device), [name for name, _ in groups])
        )
        tasks.append(AccuracyTask("objects", object_questions(groups, sources, TEMPLATE), judge))
    if quality:
        tasks.append(caption_task(sources, device))
    return tasks


def caption_task(sources: Sources, device: torch.device) -> CaptionTask:
    """Returns the task about images of captions."""
    captions = needed(sources.captions, "--captions", "captions")
    inception = Inception(needed(sources.inception, "--inception", "FID's network"), device)
    return CaptionTask(
        read_captions(captions, sources.seed, sources.most_captions),
        ClipScorer(sources.clip, device),
        ImageNetwork(sources.classifier, device),
        (inception.identity, inception.pooled),
        None if sources.reference is None else reference_gaussian(sources.reference, inception.pooled),
    )
