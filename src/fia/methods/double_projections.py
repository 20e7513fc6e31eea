"""Double Projections, DP (Zhang et al., CVPR 2026, arXiv 2604.10032): a closed form that cannot move what is kept.

Like UCE, DP replaces the projections to keys and values of every cross-attention. Projection 1 says what a concept's
embedding c becomes: the part of it that lies in the span S of safe embeddings. Projection 2 lets the weights change
only along U, an orthonormal basis of what is orthogonal to all kept embeddings:

    c* = S (S^T S)^+ S^T c
    W' = W + W (C* - C) X^+ U^T,   X = U^T C

C and C* hold the embeddings to erase and their proxies, column by column. So W' k = W k for every kept embedding k. For
one embedding, X^+ is x^T / ||x||^2, as in the paper. If too many embeddings are kept, `rank` protects only the span of
their leading singular vectors.

The formulas are the paper's as others report them; three points are open there. Several embeddings are erased together,
in the least-squares sense with the smallest change, and directions of X below 1e-4 of C's largest one are left out. The
safe embeddings are those of the guide and of what is kept; `safe="guide"` leaves projection 1 out, which the paper
allows, and takes the guide's embedding as the proxy, as UCE does. `positions` chooses the embeddings, as in UCE.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from ..concepts import Concept
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..settings import check_at_least_one
from .text_embeddings import Positions, embeddings_to_edit
from .uce import check_positions, projections

log = logging.getLogger("fia")

Safe = Literal["kept", "guide"]
SMALLEST = 1e-4  # of the largest singular value: below it, rows that should be parallel differ by rounding


def span(vectors: Float[Tensor, "n width"], rank: int | None = None) -> Float[Tensor, "width r"]:
    """Returns an orthonormal basis of the span of some vectors, or of their `rank` leading singular vectors."""
    _, values, right = torch.linalg.svd(vectors, full_matrices=False)
    basis: Tensor = right[values > SMALLEST * values[0]][:rank].T
    return basis


def double_projection(
    erased: Float[Tensor, "e width"],
    proxies: Float[Tensor, "e width"],
    kept: Float[Tensor, "k width"] | None,
    rank: int | None = None,
) -> Float[Tensor, "width width"]:
    """Returns (C* - C) X^+ U^T of the module's formula, float64. It is the same for every layer.

    Args:
        erased: C, one embedding in each row.
        proxies: C*.
        kept: the embeddings to keep; None if there are none.
        rank: number of leading singular vectors of the kept embeddings to protect. None protects their span.
    """
    erased, proxies = erased.double(), proxies.double()
    movable = erased
    if kept is not None:
        basis = span(kept.double(), rank)
        movable = erased - (erased @ basis) @ basis.T  # U U^T c: X^+ U^T is its pseudo-inverse
    smallest = SMALLEST * float(torch.linalg.matrix_norm(erased, 2))
    inverse: Tensor = torch.linalg.pinv(movable.T, atol=smallest, rtol=0.0)
    return (proxies - erased).T @ inverse


@dataclass(frozen=True)
class DoubleProjections:
    """Closed-form editing of cross-attention that leaves what is kept exactly as it is.

    Attributes:
        guide: the text that the model generates instead of a concept.
        safe: what a concept's embedding becomes: "kept" takes its part in the span of what is kept and of the guide,
            "guide" the guide's embedding.
        positions: which embeddings of a text to take: "last" or "tail"; see `uce`.
        rank: how many leading singular vectors of the kept embeddings to protect. None protects all of them.
    """

    guide: str = ""
    safe: Safe = "kept"
    positions: Positions = "last"
    rank: int | None = None
    paper: ClassVar[str] = "Zhang et al., Closed-Form Concept Erasure via Double Projections, arXiv 2604.10032"

    def __post_init__(self) -> None:
        check_positions(self.positions)
        check_at_least_one(self, "rank")
        if self.safe not in get_args(Safe):
            raise UsageError(f"safe={self.safe!r} is not one of {', '.join(get_args(Safe))}.")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the edited projections."""
        erased, proxies, kept = embeddings_to_edit(pipe, concepts, keep, self.guide, self.positions)
        if self.safe == "kept":
            safe = span(torch.cat([proxies] if kept is None else [proxies, kept]).double())
            proxies = erased.double() @ safe @ safe.T
        change = double_projection(erased, proxies, kept, self.rank)
        if not change.any():
            log.warning(
                "DP changes nothing: the concepts' embeddings lie in the span of what is kept. Keep fewer names, or "
                "give a smaller rank."
            )
        return WeightEdit(
            {
                name: (weight.double() + weight.double() @ change).to(weight.dtype)
                for name, weight in projections(pipe).items()
            }
        )
