"""Measures how much an image changes: the distance between two images with the same prompt and seed."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from ..drawing.gallery import in_batches

Stages = Callable[
    [Sequence[Image.Image]], Sequence[Tensor]
]  # returns a network's feature maps (images, channels, y, x)


def pixel_distances(before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
    """Returns the root mean squared difference of each pair, for brightness in [0, 1]."""
    distances = []
    for one, two in zip(before, after, strict=True):
        difference = np.asarray(one, dtype=np.float64) - np.asarray(two, dtype=np.float64)
        distances.append(float(np.sqrt((difference**2).mean()) / 255))
    return distances


@torch.no_grad()
def perceptual_distances(stages: Stages, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
    """Returns the distance between a network's features for each pair: 0 for equal images, at most 4.

    This is LPIPS (Zhang et al., arXiv 1801.03924) without its learned weights. At each stage, we scale the features of
    each place to length one. The squared distance is averaged over the places, then over the stages.

    Args:
        stages: returns the network's feature maps of some images.
        before: n images.
        after: n images. Each is compared with the one at its position in `before`.
    """
    distances: list[float] = []
    for one, two in zip(in_batches(before, "Comparing"), in_batches(after, "Comparing"), strict=True):
        parts = [
            (normalize(a, dim=1) - normalize(b, dim=1)).square().sum(dim=1).mean(dim=(1, 2))
            for a, b in zip(stages(one), stages(two), strict=True)
        ]
        distances += torch.stack(parts).mean(dim=0).tolist()
    return distances
