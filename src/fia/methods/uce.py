"""Unified Concept Editing, UCE (Gandikota et al., WACV 2024, arXiv 2308.14761): a closed form on cross-attention.

UCE replaces the projections to keys and values of every cross-attention. The new ones project the concept's text
embeddings c as the old ones project those of a guide, c*. They still project the kept embeddings as before:

    W' = (a sum_e W c* c^T + b sum_k W c c^T + l W) (a sum_e c c^T + b sum_k c c^T + l I)^-1

Here e runs over the embeddings to erase and k over those to keep; a and b are scales, and the ridge l keeps W' near W.
The authors have used two ways to choose the embeddings of a text. `positions` selects one. "tail" takes c and c* from
the last token onwards, position by position, and kept embeddings at all positions. "last" takes only the last token.
It costs a few matrix inverses of the text width, no training and no generation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from ..concepts import Concept
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..models.layers import cross_attentions
from ..models.pipelines import get_unet
from .text_embeddings import Positions, embeddings_to_edit


def edited_projection(
    weight: Float[Tensor, "outputs width"],
    erased: Float[Tensor, "e width"],
    guides: Float[Tensor, "e width"],
    kept: Float[Tensor, "k width"] | None,
    *,
    erase_scale: float,
    preserve_scale: float,
    ridge: float,
) -> Float[Tensor, "outputs width"]:
    """Returns W' of the module's formula. Computes in float64; the result has the weight's type.

    Args:
        weight: W.
        erased: the embeddings c to erase.
        guides: the embeddings c*, one for each c.
        kept: the embeddings to keep; None if there are none.
        erase_scale: a.
        preserve_scale: b.
        ridge: l, above 0.
    """
    old, erased, guides = (tensor.double() for tensor in (weight, erased, guides))
    as_before = ridge * torch.eye(old.shape[1], dtype=old.dtype, device=old.device)
    if kept is not None:
        as_before += preserve_scale * kept.double().T @ kept.double()
    values = old @ (erase_scale * guides.T @ erased + as_before)
    # W' A = B with A symmetric
    edited: Tensor = torch.linalg.solve(erase_scale * erased.T @ erased + as_before, values.T).T
    return edited.to(weight.dtype)


@dataclass(frozen=True)
class UCE:
    """Closed-form editing of cross-attention.

    Attributes:
        guide: the text that the model generates instead of a concept.
        positions: which embeddings of a text to take: "last" or "tail", see the module's docstring.
        erase_scale: a, the weight of the embeddings to erase, at least 0.
        preserve_scale: b, the weight of the embeddings to keep, at least 0.
        ridge: l, the weight that keeps the new projection near the old one, above 0.
    """

    guide: str = ""
    positions: Positions = "last"
    erase_scale: float = 1.0
    preserve_scale: float = 0.1
    ridge: float = 0.1
    paper: ClassVar[str] = "Gandikota et al., Unified Concept Editing, arXiv 2308.14761"

    def __post_init__(self) -> None:
        check_positions(self.positions)
        for name in ("erase_scale", "preserve_scale"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)} is outside [0, inf).")
        if not 0 < self.ridge < math.inf:
            raise UsageError(f"ridge={self.ridge}; it must be above 0 so that the matrix is invertible.")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the edited projections."""
        return WeightEdit(self.edit(projections(pipe), *self.embeddings(pipe, concepts, keep)))

    def embeddings(
        self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]
    ) -> tuple[Float[Tensor, "e width"], Float[Tensor, "e width"], Float[Tensor, "k width"] | None]:
        """Returns the embeddings to erase, the guide's embedding for each of them, and those to keep or None."""
        return embeddings_to_edit(pipe, concepts, keep, self.guide, self.positions)

    def edit(
        self, weights: Mapping[str, Tensor], erased: Tensor, guides: Tensor, kept: Tensor | None
    ) -> dict[str, Tensor]:
        """Returns the edited projections by name; see `edited_projection`."""
        scales = {"erase_scale": self.erase_scale, "preserve_scale": self.preserve_scale, "ridge": self.ridge}
        return {name: edited_projection(weight, erased, guides, kept, **scales) for name, weight in weights.items()}


def check_positions(positions: str) -> None:
    """Raises ValueError if there are no such positions."""
    if positions not in get_args(Positions):
        raise UsageError(f"positions={positions!r} is not one of {', '.join(get_args(Positions))}.")


def projections(
    pipe: DiffusionPipeline, parts: Sequence[str] = ("to_k", "to_v")
) -> dict[str, Float[Tensor, "outputs width"]]:
    """Returns the projections to keys ("to_k") and values ("to_v") of every cross-attention, by name."""
    return {
        f"{name}.{part}.weight": getattr(attention, part).weight.detach()
        for name, attention in cross_attentions(get_unet(pipe)).items()
        for part in parts
    }
