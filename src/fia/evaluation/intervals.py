"""Proportions and means with their 95 % confidence intervals: Wilson's for proportions, the bootstrap's for means."""

import math
from collections.abc import Sequence

import numpy as np

from .records import Mean, Proportion

NORMAL_QUANTILE = 1.959964  # 97.5 % of a normal distribution is below it
RESAMPLES = 2000
AT_ONCE = 2**22  # resampled values that are in memory together


def wilson_interval(right: int, number: int) -> tuple[float, float]:
    """Returns the interval of a proportion, in percent, by Wilson's score.

    Unlike the normal approximation, it stays within [0, 100], and its width is not zero at 0 and 100 %. Wilson,
    "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Args:
        right: number of images that are right.
        number: number of images. If it is 0, the interval is (0, 100).
    """
    if number == 0:
        return 0.0, 100.0
    z, share = NORMAL_QUANTILE, right / number
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    return max(0.0, 100 * (middle - half)), min(100.0, 100 * (middle + half))


def proportion(values: Sequence[bool]) -> Proportion | None:
    """Returns the proportion of values that are true, with its interval and counts; None if there are no values."""
    if not values:
        return None
    right, number = sum(values), len(values)
    interval = [round(end, 2) for end in wilson_interval(right, number)]
    return {"percent": round(100 * right / number, 2), "interval": interval, "right": right, "number": number}


def mean_with_interval(values: Sequence[float]) -> Mean | None:
    """Returns the mean, its interval by the percentile bootstrap, and the number of values; None for no values.

    The bootstrap resamples the values 2,000 times from a fixed seed. Equal values give equal intervals.
    """
    if len(values) == 0:
        return None
    array = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(bootstrap_means(array), [2.5, 97.5])
    return {"mean": round(float(array.mean()), 4), "interval": [round(low, 4), round(high, 4)], "number": len(array)}


def bootstrap_means(values: np.ndarray) -> np.ndarray:
    """Returns the means of RESAMPLES resamples of the values, (RESAMPLES,). Resamples in parts that fit the memory."""
    generator = np.random.default_rng(0)
    rows = max(1, AT_ONCE // len(values))
    sizes = [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]
    means = [values[generator.integers(len(values), size=(size, len(values)))].mean(axis=1) for size in sizes]
    return np.concatenate(means)
