"""Fuses the concepts' neurons into one mask: spares what many concepts claim and prunes the rest (Eq. 7-8).

Taken literally, the paper's rule prunes nothing for a single concept: tau = ceil(alpha * 1) = 1, and every connection
that the concept claims reaches that threshold. The same happens for two concepts at alpha <= 0.5. Yet the paper forgets
single concepts. A connection that only one concept claims is not agnostic, so here tau is at least 2. A single concept
then prunes all it claims, and a connection that only one of several concepts claims is never spared. For tau >= 2 the
rule is the paper's. Masks found as the authors' code finds them keep its rule, in which tau may be 1.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

AT_ONCE = 2**24  # connections of a layer that are counted in one table


def agnostic_threshold(agnostic_ratio: float, number_of_concepts: int, smallest: int = 2) -> int:
    """Returns tau_ca = max(2, ceil(alpha * C)). Connections that tau_ca or more concepts claim are spared (Eq. 8).

    Args:
        agnostic_ratio: alpha >= 0. Above 1 the threshold is C + 1: nothing is spared, and the mask is the union.
        number_of_concepts: C.
        smallest: the smallest tau_ca: 2, or 1 for the rule of the authors' code.
    """
    # The small term keeps ceil from rounding up products such as 0.28 * 25 = 7.000000000000001.
    threshold = math.ceil(min(agnostic_ratio * number_of_concepts - 1e-9, number_of_concepts + 1))
    return max(smallest, threshold)


def count_claims(neurons: Sequence[Int[Tensor, " _"]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the claimed connections of a layer, ascending, and how many concepts claim each (Eq. 7).

    Args:
        neurons: for each concept, the flat indices of its neurons, ascending, without repetition.
    """
    arrays = [indices.numpy() for indices in neurons if len(indices)]
    if not arrays:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    reach = 1 + max(int(indices[-1]) for indices in arrays)
    if reach > max(AT_ONCE, 4 * sum(map(len, arrays))):  # a large layer with few neurons
        connections, claims = np.unique(np.concatenate(arrays), return_counts=True)
        return connections, claims
    counts = np.zeros(reach, dtype=np.int32)
    for indices in arrays:
        counts[indices] += 1
    claimed = np.flatnonzero(counts)
    return claimed, counts[claimed]


def fuse(neurons: Sequence[Int[Tensor, " _"]], agnostic_ratio: float, smallest: int = 2) -> Int[Tensor, " pruned"]:
    """Returns the flat indices of the connections to prune in one layer, ascending, int32 (Eq. 8).

    Args:
        neurons: for each concept, the flat indices of its neurons, ascending, without repetition.
        agnostic_ratio: alpha.
        smallest: the smallest tau_ca; see `agnostic_threshold`.
    """
    connections, claims = count_claims(neurons)
    pruned = connections[claims < agnostic_threshold(agnostic_ratio, len(neurons), smallest)]
    return torch.from_numpy(pruned.astype(np.int32))


def strongest(
    neurons: Sequence[Int[Tensor, " _"]], strengths: Sequence[float], pruned: Int[Tensor, " pruned"]
) -> Float[Tensor, " pruned"]:
    """Returns, for each pruned connection of a layer, the largest strength of the concepts that claim it, float32."""
    strongest, connections = np.zeros(len(pruned), dtype=np.float32), pruned.numpy()
    for indices, strength in zip(neurons, strengths, strict=True):
        own = np.isin(connections, indices.numpy(), assume_unique=True)
        strongest[own] = np.maximum(strongest[own], np.float32(strength))
    return torch.from_numpy(strongest)
