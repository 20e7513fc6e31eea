"""Reliable and Efficient Concept Erasure, RECE (Gong et al., ECCV 2024, arXiv 2407.12383): UCE in several rounds.

After UCE's edit, the projections may still map another embedding c' to where they mapped the concept's c. The nearest
such embedding is

    c' = (sum_i W_i'^T W_i' + m I)^-1 sum_i W_i'^T W_i c

summed over all edited projections W_i' and untouched projections W_i. The shrinkage m keeps c' small, so that its
erasure harms the rest less. RECE erases c' from W_i' as UCE erases c, and repeats this for some rounds.
It differs from the authors' code in three points: m is relative to the matrix that we add it to, so that it means the
same in every model; the embeddings are those of `UCE`; and the method keeps only what the caller asks for.
Each round costs what UCE costs, and one more inverse of the text width.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from ..concepts import Concept
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..settings import check_at_least_one
from .uce import UCE, projections


def derived_embeddings(
    edited: Mapping[str, Float[Tensor, "outputs width"]],
    untouched: Mapping[str, Float[Tensor, "outputs width"]],
    erased: Float[Tensor, "e width"],
    shrinkage: float,
) -> Float[Tensor, "e width"]:
    """Returns c' of the module's formula for each embedding c. Computes in float64; the result has the type of c.

    Args:
        edited: W_i' by name.
        untouched: W_i by the same names.
        erased: the embeddings c.
        shrinkage: m, above 0, relative to the mean of the diagonal of sum_i W_i'^T W_i'.
    """
    width = erased.shape[1]
    squares, products = (torch.zeros(width, width, dtype=torch.float64, device=erased.device) for _ in range(2))
    for name, weight in edited.items():
        new, old = weight.double(), untouched[name].double()
        squares += new.T @ new
        products += new.T @ old
    ridge = shrinkage * squares.diagonal().mean() * torch.eye(width, dtype=squares.dtype, device=squares.device)
    derived: Tensor = torch.linalg.solve(squares + ridge, products @ erased.double().T).T
    return derived.to(erased.dtype)


@dataclass(frozen=True)
class RECE(UCE):
    """Closed-form editing of cross-attention, in rounds.

    Attributes:
        rounds: how many times RECE derives embeddings that bring the concepts back, and erases them. At least 1.
        shrinkage: m, above 0. A larger one keeps the derived embeddings smaller.
    """

    rounds: int = 3
    shrinkage: float = 0.1
    paper: ClassVar[str] = "Gong et al., Reliable and Efficient Concept Erasure, arXiv 2407.12383"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least_one(self, "rounds")
        if not 0 < self.shrinkage < math.inf:
            raise UsageError(f"shrinkage={self.shrinkage}; it must be above 0 so that the matrix is invertible.")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the edited projections."""
        untouched = projections(pipe)
        erased, guides, kept = self.embeddings(pipe, concepts, keep)
        edited = self.edit(untouched, erased, guides, kept)
        for _ in range(self.rounds):
            edited = self.edit(edited, derived_embeddings(edited, untouched, erased, self.shrinkage), guides, kept)
        return WeightEdit(edited)
