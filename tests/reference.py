"""Equations 1 to 8 of docs/method.md as slow loops in float64. Tests compare the library with them."""

import math
from fractions import Fraction

import numpy as np

EPSILON = 1e-8


def connection_saliency(weight, inputs, outputs):
    """Returns U of Eq. 1 for one layer, step and prompt."""
    weight, x, y = (np.asarray(array, dtype=np.float64) for array in (weight, inputs, outputs))
    result = np.zeros(weight.shape)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            x_norm, y_norm = math.sqrt(x[:, j] @ x[:, j]), math.sqrt(y[:, i] @ y[:, i])
            cosine = abs(x[:, j] @ y[:, i]) / (x_norm * y_norm + EPSILON)
            result[i, j] = abs(weight[i, j]) * x_norm * cosine
    return result


def contrastive_saliency(concept, base):
    """Returns S of Eq. 2 from U under each concept and each base prompt. The std divides by the number of prompts."""
    result = np.zeros(np.shape(base[0]))
    for i, j in np.ndindex(result.shape):
        of_concept, of_base = [float(u[i, j]) for u in concept], [float(u[i, j]) for u in base]
        mean_c, mean_b = sum(of_concept) / len(of_concept), sum(of_base) / len(of_base)
        std_b = math.sqrt(sum((u - mean_b) ** 2 for u in of_base) / len(of_base))
        result[i, j] = max(0.0, mean_c - mean_b - std_b)
    return result


def number_of(ratio, total):
    """Returns the whole number nearest to ratio * total, but at least one unless the ratio is zero."""
    nearest = round(Fraction(str(ratio)) * total)
    return max(1, nearest) if ratio > 0 else 0


def threshold(saliency, temporal_ratio):
    """Returns tau of Eq. 3: the value that the top r1 of the layer's connections exceed."""
    descending = sorted((float(s) for s in np.ravel(saliency)), reverse=True)
    number = number_of(temporal_ratio, len(descending))
    return descending[number] if number < len(descending) else 0.0


def aggregate(steps, temporal_ratio):
    """Returns A of Eq. 3 from S of every step."""
    result = np.zeros(np.shape(steps[0]))
    taus = [threshold(saliency, temporal_ratio) for saliency in steps]
    for i, j in np.ndindex(result.shape):
        magnitude = sum(float(saliency[i, j]) for saliency in steps) / len(steps)
        frequency = sum(float(saliency[i, j]) > tau for saliency, tau in zip(steps, taus, strict=True)) / len(steps)
        result[i, j] = magnitude / 2 + frequency / 2
    return result


def select_neurons(aggregated, spatial_ratio):
    """Returns Q of Eq. 4-6 as flat indices: in the top of their row, in the top of the layer, and above zero."""
    rows, columns = np.shape(aggregated)
    in_rows = set()
    for i in range(rows):
        ranked = sorted(range(columns), key=lambda j, i=i: -aggregated[i, j])
        in_rows |= {i * columns + j for j in ranked[: number_of(spatial_ratio, columns)]}
    flat = np.ravel(aggregated)
    ranked = sorted(range(rows * columns), key=lambda index: -flat[index])
    in_layer = set(ranked[: number_of(spatial_ratio, rows * columns)])
    return sorted(index for index in in_rows & in_layer if flat[index] > 0)


def fuse(neurons, agnostic_ratio):
    """Returns the pruned flat indices of Eq. 7-8, with a threshold of at least two claims."""
    claims = {}
    for concept in neurons:
        for index in concept:
            claims[int(index)] = claims.get(int(index), 0) + 1
    tau = max(2, math.ceil(Fraction(str(agnostic_ratio)) * len(neurons)))
    return sorted(index for index, number in claims.items() if 0 < number < tau)
