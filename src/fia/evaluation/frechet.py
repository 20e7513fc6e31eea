"""The Frechet distance between the features of two sets of images (Heusel et al., FID, arXiv 1706.08500).

    d^2 = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))

It is FID if the features are the last pooling of the Inception network of 2015. With other features it is a different
number: do not compare it with published ones.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from ..drawing.gallery import in_batches
from ..errors import DataError, UsageError

Features = Callable[[Sequence[Image.Image]], ndarray]  # (images, width)


@dataclass(frozen=True)
class Gaussian:
    """Mean (width,) and covariance (width, width) of features, in float64."""

    mean: ndarray
    covariance: ndarray

    @property
    def digest(self) -> str:
        """The SHA-256 of both."""
        return hashlib.sha256(self.mean.tobytes() + self.covariance.tobytes()).hexdigest()

    @classmethod
    def of(cls, features: Features, images: Sequence[Image.Image]) -> "Gaussian":
        """Measures images batch by batch, so that only one batch of features is in memory.

        Raises:
            ValueError: if there are fewer than two images.
        """
        if len(images) < 2:
            raise UsageError(f"A Frechet distance needs at least 2 images on each side, not {len(images)}. Give more.")
        count, mean, scatter = 0, np.zeros(()), np.zeros(())
        for batch in in_batches(images, "Measuring"):
            rows = np.asarray(features(batch), dtype=np.float64)
            shift = rows.mean(axis=0) - mean
            centred = rows - rows.mean(axis=0)
            scatter = scatter + centred.T @ centred + np.outer(shift, shift) * (count * len(rows) / (count + len(rows)))
            count += len(rows)
            mean = mean + shift * (len(rows) / count)
        return cls(mean, scatter / (count - 1))

    @classmethod
    def from_file(cls, file: Path) -> "Gaussian":
        """Reads an .npz with `mu` and `sigma`, as other FID tools write them.

        Raises:
            ValueError: if the file is not such a file.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return cls(arrays["mu"].astype(np.float64), arrays["sigma"].astype(np.float64))
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise DataError(
                f"{file} holds no reference statistics; give an .npz with mu and sigma. ({error})"
            ) from error


def frechet_distance(one: Gaussian, two: Gaussian) -> float:
    """Returns d^2, at least 0.

    The root has the same trace as (C_1^(1/2) C_2 C_1^(1/2))^(1/2), which is symmetric. So two eigendecompositions are
    enough.

    Raises:
        ValueError: if the widths of the features differ.
    """
    if one.mean.shape != two.mean.shape:
        raise UsageError(
            f"The features are {one.mean.size} and {two.mean.size} wide, so the reference statistics come from another "
            "network. Give statistics of this network, or a folder of images."
        )
    root = _root(one.covariance)
    cross = np.linalg.eigvalsh(root @ two.covariance @ root).clip(min=0)
    traces = np.trace(one.covariance) + np.trace(two.covariance) - 2 * np.sqrt(cross).sum()
    return max(0.0, float(((one.mean - two.mean) ** 2).sum() + traces))


def _root(matrix: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    values, vectors = np.linalg.eigh(matrix)
    root: ndarray = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
