"""Says in words what the embedded model's classifier sees in images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from transformers import ResNetForImageClassification

from ..errors import UsageError
from ..models.pipelines import embedded_name, known_names
from ..provenance import Identity, hash_folder
from .catalogue import Catalogue
from .classifier import classify, heads_of
from .pretrained import FOLDER, catalogue_of, load_classifier
from .world import SMALL


class TestbedJudge:
    """The embedded model's classifier as a judge of subjects, places, styles and the attribute.

    Attributes:
        identity: its name, and the hash of its folder.
        heads: the answers of each head.
    """

    __test__ = False  # otherwise pytest takes it for a test

    def __init__(
        self, classifier: ResNetForImageClassification, digest: str | None = None, catalogue: Catalogue = SMALL
    ) -> None:
        """Takes a classifier, the hash of its folder, and what it knows."""
        self.classifier, self.heads = classifier, heads_of(catalogue)
        self.identity: Identity = {"name": "the test-bed's classifier", "hash": digest}

    def answer(self, images: Sequence[Image.Image], batch_size: int = 128) -> dict[str, list[str]]:
        """Returns, for each head, its answer for each image. Images have 64 x 64 pixels."""
        answers: dict[str, list[str]] = {head: [] for head in self.heads}
        for start in range(0, len(images), batch_size):
            arrays = [np.asarray(image.convert("RGB")) for image in images[start : start + batch_size]]
            pixels = torch.tensor(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
            for head, indices in classify(self.classifier, pixels, self.heads).items():
                answers[head] += [self.heads[head][i] for i in indices.tolist()]
        return answers


def check_judged(pipe: DiffusionPipeline) -> None:
    """Raises ValueError if a pipeline is an embedded model of the large world: the package's judge does not know it."""
    if embedded_name(pipe) and known_names(pipe) != list(SMALL.known_names):
        raise UsageError(
            "This embedded model knows the large world, and the package's judge only the small one. Measure it with "
            "its own judge: fia bench --scale --weights FOLDER."
        )


def load_judge(weights: Path = FOLDER) -> TestbedJudge:
    """Returns the judge in a folder that `fia testbed train` wrote. The default is the package's judge."""
    return TestbedJudge(load_classifier(weights), hash_folder(weights / "classifier"), catalogue_of(weights))
