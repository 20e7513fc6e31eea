"""Fuses the concepts' neurons into one mask: what many concepts share is spared, the rest is pruned (Eq. 7-8).

The paper's rule, taken literally, prunes nothing for one concept: tau = ceil(alpha * 1) = 1, and every connection
found for it reaches that. The same happens for two concepts at alpha <= 0.5. Yet the paper forgets single concepts. A
connection that only one concept claims cannot be called agnostic, so here tau is at least 2: one concept prunes all it
claims, and with two or more nothing claimed by just one of them is ever spared. For tau >= 2 the rule is the paper's.
"""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Int
from torch import Tensor


def agnostic_threshold(agnostic_ratio: float, number_of_concepts: int) -> int:
    """Returns tau_ca = max(2, ceil(alpha * C)): connections claimed by so many concepts are spared (Eq. 8).

    Args:
        agnostic_ratio: alpha >= 0. Above 1 the threshold exceeds C: nothing is spared, the mask is the union.
        number_of_concepts: C.
    """
    # The small term keeps products such as 0.28 * 25 = 7.000000000000001 from being rounded up.
    threshold = math.ceil(agnostic_ratio * number_of_concepts - 1e-9)
    return max(2, threshold)


def fuse(neurons: Iterable[Int[Tensor, " _"]], agnostic_ratio: float) -> Int[Tensor, " pruned"]:
    """Returns the flat indices, ascending, to prune in one layer.

    Args:
        neurons: for each concept, the flat indices of its neurons, without repetition (Eq. 7).
        agnostic_ratio: alpha.
    """
    concepts = list(neurons)
    indices, claims = torch.unique(torch.cat(concepts), return_counts=True)
    return indices[claims < agnostic_threshold(agnostic_ratio, len(concepts))]
