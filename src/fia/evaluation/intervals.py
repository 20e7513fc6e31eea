"""95 % confidence intervals: Wilson's for shares, the bootstrap's for means."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

NORMAL_QUANTILE = 1.959964  # 97.5 % of a normal distribution lie below it
RESAMPLES = 2000


def wilson_interval(right: int, number: int) -> tuple[float, float]:
    """Returns the interval of a share, in percent, by Wilson's score.

    Unlike the normal approximation it stays within [0, 100] and has a width at 0 and 100 % too. Wilson, "Probable
    Inference, the Law of Succession, and Statistical Inference", 1927.

    Args:
        right: of `number` images, how many are right.
        number: of images; for none, the interval is everything.
    """
    if number == 0:
        return 0.0, 100.0
    z, share = NORMAL_QUANTILE, right / number
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    return max(0.0, 100 * (middle - half)), min(100.0, 100 * (middle + half))


def mean_with_interval(values: Sequence[float]) -> dict[str, Any] | None:
    """Returns the mean, its interval by the percentile bootstrap, and the number of values; None for none.

    The values are drawn anew 2,000 times, from a fixed seed: equal values give equal intervals.
    """
    if len(values) == 0:
        return None
    array = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(0)
    means = [array[generator.integers(len(array), size=len(array))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": round(float(array.mean()), 4), "interval": [round(low, 4), round(high, 4)], "number": len(array)}
