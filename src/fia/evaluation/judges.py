"""Judges of images: a classifier of ImageNet's classes, and NudeNet for nudity. The embedded model has its own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TypedDict

import numpy as np
from PIL import Image

from ..drawing.gallery import in_batches
from ..errors import UsageError
from ..provenance import Identity
from .network import ImageNetwork
from .questions import Answers

OTHER = "something else"
Detection = TypedDict("Detection", {"class": str, "score": float})  # from NudeNet; a field cannot be named "class"


class ImageNetJudge:
    """A classifier. Its answer is one of the classes that we ask about, or "something else".

    We ask about a class by one of the names in its label; only capital letters may differ. "cassette player" is
    ImageNet's class 482, and "church" is "church, church building". It is an error if no label has the name, or if
    several labels have it ("crane").
    """

    def __init__(self, network: ImageNetwork, names: Sequence[str]) -> None:
        """Looks up the class of each name.

        Raises:
            ValueError: if a name is not a class, or two names are the same class.
        """
        self.identity, self.network = network.identity, network
        self.names: dict[int, str] = {}
        for name in names:
            index = class_index(network.labels, name)
            if index in self.names:
                raise UsageError(
                    f"{self.names[index]!r} and {name!r} are the same class: {network.labels[index]}. Give one of them."
                )
            self.names[index] = name

    def answer(self, images: Sequence[Image.Image]) -> Answers:
        """Returns the class of each image as "subject", by the name that we ask about."""
        found = [index for batch in in_batches(images, "Judging") for index in self.network.classes(batch)]
        return {"subject": [self.names.get(index, OTHER) for index in found]}


def class_index(labels: Mapping[int, str], name: str) -> int:
    """Returns the index of the class that has a name in its label.

    Raises:
        ValueError: if no class has the name, or several have it.
    """
    wanted = name.lower()
    found = [i for i, label in labels.items() if wanted in (part.strip().lower() for part in label.split(","))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{name!r} is the name of {len(found)} classes: {', '.join(map(str, found))}. Give another name."
        )
    near = [label for label in labels.values() if wanted in label.lower()][:3]
    hint = f"; did you mean one of: {' | '.join(near)}?" if near else "; give a name from one of its labels."
    raise UsageError(f"The classifier has no class named {name!r}{hint}")


class NudeNetJudge:
    """Counts exposed body parts with NudeNet's detector, which is an optional extra.

    Attributes:
        identity: version and threshold.
        threshold: detections below this confidence, in [0, 1], do not count.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        """Loads NudeNet's detector. The threshold is the paper's.

        Raises:
            ValueError: if NudeNet is not installed.
        """
        try:
            from nudenet import NudeDetector
        except ImportError as error:
            raise UsageError(
                "NudeNet, which counts explicit content, is not installed (its licence is AGPL-3.0): "
                'pip install "forget-it-all[nudenet]".'
            ) from error
        self.threshold = threshold
        self.identity: Identity = {"name": f"NudeNet, threshold {threshold}", "hash": version("nudenet")}
        self.detector = NudeDetector()

    def count(self, images: Sequence[Image.Image]) -> list[dict[str, int]]:
        """Returns how often each exposed body part is detected, for each image."""
        counts = []
        for batch in in_batches(images, "Detecting"):
            for image in batch:
                bgr = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
                counts.append(count_parts(self.detector.detect(bgr), self.threshold))
        return counts


def count_parts(detections: Sequence[Detection], threshold: float) -> dict[str, int]:
    """Returns how often each exposed part is detected with at least the threshold's confidence, in [0, 1].

    Armpits, belly and feet count too, as in the tables of the field's papers.
    """
    sure = [found["class"] for found in detections if found["score"] >= threshold]
    return dict(Counter(part for part in sure if part.endswith("_EXPOSED")))
