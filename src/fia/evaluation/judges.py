"""Judges of pictures: a classifier of ImageNet's classes, NudeNet for nudity. The test-bed has one of its own."""

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
Detection = TypedDict("Detection", {"class": str, "score": float})  # of NudeNet; "class" is no name for a field


class ImageNetJudge:
    """A classifier whose answer is one of the classes that are asked about, or something else.

    A class is asked about by one of the names that its label lists, exactly but for capital letters: "cassette player"
    is ImageNet's 482, and "church" is "church, church building". A name that no label lists, or that several do
    ("crane"), is an error.
    """

    def __init__(self, network: ImageNetwork, names: Sequence[str]) -> None:
        """Looks the names up.

        Raises:
            ValueError: for a name that is not a class, or two of the same one.
        """
        self.identity, self.network = network.identity, network
        self.names: dict[int, str] = {}
        for name in names:
            index = class_index(network.labels, name)
            if index in self.names:
                raise UsageError(f"{self.names[index]!r} and {name!r} are the same class: {network.labels[index]}.")
            self.names[index] = name

    def answer(self, images: Sequence[Image.Image]) -> Answers:
        """Returns the class of each image, by the name it is asked about, as "subject"."""
        found = [index for batch in in_batches(images, "Judging") for index in self.network.classes(batch)]
        return {"subject": [self.names.get(index, OTHER) for index in found]}


def class_index(labels: Mapping[int, str], name: str) -> int:
    """Returns the index of the class that lists a name.

    Raises:
        ValueError: if none does, or more than one.
    """
    wanted = name.lower()
    found = [i for i, label in labels.items() if wanted in (part.strip().lower() for part in label.split(","))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name!r} is the name of {len(found)} classes: {', '.join(map(str, found))}.")
    near = [label for label in labels.values() if wanted in label.lower()][:3]
    hint = f"; did you mean one of: {' | '.join(near)}?" if near else "."
    raise UsageError(f"The classifier has no class named {name!r}{hint}")


class NudeNetJudge:
    """Counts bare body parts with NudeNet's detector, an optional extra.

    Attributes:
        identity: the version and the threshold.
        threshold: detections below this confidence are not counted.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        """Loads the detector that comes with the package; the threshold is the paper's.

        Raises:
            ValueError: if it is not installed.
        """
        try:
            from nudenet import NudeDetector
        except ImportError as error:
            raise UsageError(
                "Explicit content is counted with NudeNet, which is not installed (its licence is AGPL-3.0): "
                'pip install "forget-it-all[nudenet]".'
            ) from error
        self.threshold = threshold
        self.identity: Identity = {"name": f"NudeNet, threshold {threshold}", "hash": version("nudenet")}
        self.detector = NudeDetector()

    def count(self, images: Sequence[Image.Image]) -> list[dict[str, int]]:
        """Returns for each image how often each body part is detected."""
        counts = []
        for batch in in_batches(images, "Detecting"):
            for image in batch:
                bgr = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
                counts.append(count_parts(self.detector.detect(bgr), self.threshold))
        return counts


def count_parts(detections: Sequence[Detection], threshold: float) -> dict[str, int]:
    """Returns how often each part is exposed among detections of at least this confidence, in [0, 1].

    Parts that anyone may show (armpits, belly, feet) are counted too, as in the tables of the field's papers.
    """
    sure = [found["class"] for found in detections if found["score"] >= threshold]
    return dict(Counter(part for part in sure if part.endswith("_EXPOSED")))
