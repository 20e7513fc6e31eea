"""Are my other images the same as before? How far two images of one prompt and seed lie apart."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from ..drawing.gallery import in_batches

Stages = Callable[[Sequence[Image.Image]], Sequence[Tensor]]  # of a network: feature maps (images, channels, y, x)


def pixel_distances(before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
    """Returns the root of the mean squared difference of each pair, of brightness in [0, 1]."""
    distances = []
    for one, two in zip(before, after, strict=True):
        difference = np.asarray(one, dtype=np.float64) - np.asarray(two, dtype=np.float64)
        distances.append(float(np.sqrt((difference**2).mean()) / 255))
    return distances


@torch.no_grad()
def perceptual_distances(stages: Stages, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
    """Returns for each pair how far apart a network's features are: 0 for equal images, at most 4.

    As LPIPS (Zhang et al., arXiv 1801.03924) without its learned weights: at each stage the features of each place are
    scaled to length one; the squared distance is averaged over places, and then over the stages.

    Args:
        stages: gives the network's feature maps of some images.
        before: images.
        after: as many, each to be compared with the one before.
    """
    distances: list[float] = []
    for one, two in zip(in_batches(before, "Comparing"), in_batches(after, "Comparing"), strict=True):
        parts = [
            (normalize(a, dim=1) - normalize(b, dim=1)).square().sum(dim=1).mean(dim=(1, 2))
            for a, b in zip(stages(one), stages(two), strict=True)
        ]
        distances += torch.stack(parts).mean(dim=0).tolist()
    return distances
