"""What the test-bed's classifier says about pictures, in words."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import ResNetForImageClassification

from .classifier import OBJECT_LABELS, classify
from .scenes import PLACE_NAMES


def judge(
    classifier: ResNetForImageClassification, images: Sequence[Image.Image], batch_size: int = 128
) -> tuple[list[str], list[str]]:
    """Returns for each image the object the classifier sees ("none" and "unrecognisable" among them), and the place."""
    objects: list[str] = []
    places: list[str] = []
    for start in range(0, len(images), batch_size):
        arrays = [np.asarray(image.convert("RGB")) for image in images[start : start + batch_size]]
        pixels = torch.tensor(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
        object_labels, place_labels = classify(classifier, pixels)
        objects += [OBJECT_LABELS[i] for i in object_labels.tolist()]
        places += [PLACE_NAMES[i] for i in place_labels.tolist()]
    return objects, places
