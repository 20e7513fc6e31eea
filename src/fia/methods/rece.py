"""Reliable and Efficient Concept Erasure, RECE (Gong et al., ECCV 2024, arXiv 2407.12383): UCE, again and again.

After UCE's edit another embedding c' may still be projected as the concept's c was. The one nearest to it is

    c' = (sum_i W_i'^T W_i' + m I)^-1 sum_i W_i'^T W_i c

over all edited projections W_i' and untouched ones W_i; the shrinkage m keeps c' small, and with it what its erasure
does to everything else. It is erased from W_i' as UCE erased c, and so on for some rounds.
Departures from the authors' code: m is given relative to the matrix that it is added to, so that it means the same in
every model; embeddings are taken as in `UCE`; and what is kept is only what is asked for.
Costs what UCE does in each round, and one more inverse of the text width.
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
    """Returns c' of the module's formula for each embedding c, computed in float64, in its type.

    Args:
        edited: W_i' by name.
        untouched: W_i, by the same names.
        erased: embeddings c.
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
        rounds: how many times embeddings that bring the concepts back are derived and erased.
        shrinkage: how small they are kept, above 0.
    """

    rounds: int = 3
    shrinkage: float = 0.1
    paper: ClassVar[str] = "Gong et al., Reliable and Efficient Concept Erasure, arXiv 2407.12383"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least_one(self, "rounds")
        if not 0 < self.shrinkage < math.inf:
            raise UsageError(f"shrinkage={self.shrinkage}; it must be above 0, or the matrix cannot be inverted.")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the edited projections."""
        untouched = projections(pipe)
        erased, guides, kept = self.embeddings(pipe, concepts, keep)
        edited = self.edit(untouched, erased, guides, kept)
        for _ in range(self.rounds):
            edited = self.edit(edited, derived_embeddings(edited, untouched, erased, self.shrinkage), guides, kept)
        return WeightEdit(edited)
