"""Orthogonal Concept Erasure, OCE (Sun et al., ICML 2026, arXiv 2605.28902): a rotation of the values.

OCE multiplies the projection W to the values of every cross-attention by an orthogonal matrix, so that the lengths of
its columns and the angles between them stay as they are:

    W' = Q W,   Q = the orthogonal matrix with determinant 1 that maximises tr(Q^T M)
    M = -a G (I - G*) + b sum_k (W k)(W k)^T + g W C W^T + l W W^T

G and G* project onto the spans of W c and of W c*, where c runs over the embeddings to erase and c* over the guide's. k
runs over the embeddings to keep, and C is the second moment of the embeddings of ordinary texts. The solution of this
orthogonal Procrustes problem is Q = U D V^T for the singular value decomposition M = U S V^T, where D is the identity,
or has -1 as its last entry if det(U V^T) is negative. All embeddings are those of a text's last token.

It differs from the authors' code in three points. There, C comes from captions of COCO; here, from the base prompts of
every kind (`prompts`), which need no download. The code changes the sign of a column of Q itself, which is orthogonal
too, but not the maximum. And for some tasks it erases phrases such as "photo of" with the name; here, the name alone.
The code's scales differ from task to task, so here, too, they are settings.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from ..concepts import Concept
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..prompts import TEMPLATES, fill
from .text_embeddings import embed, embeddings_to_edit
from .uce import projections


def rotated_projection(
    weight: Float[Tensor, "outputs width"],
    erased: Float[Tensor, "e width"],
    guides: Float[Tensor, "g width"],
    kept: Float[Tensor, "k width"] | None,
    ordinary: Float[Tensor, "width width"],
    *,
    erase_scale: float,
    preserve_scale: float,
    ordinary_scale: float,
    ridge: float,
) -> Float[Tensor, "outputs width"]:
    """Returns W' of the module's formula. Computes in float64; the result has the weight's type.

    Args:
        weight: W.
        erased: the embeddings c.
        guides: the embeddings c*.
        kept: the embeddings k; None if there are none.
        ordinary: C.
        erase_scale: a.
        preserve_scale: b.
        ordinary_scale: g.
        ridge: l.
    """
    old = weight.double()
    away, towards = (_projector(old @ rows.double().T) for rows in (erased, guides))
    target = ordinary_scale * old @ ordinary.double() @ old.T + ridge * old @ old.T
    target -= erase_scale * (away - away @ towards)
    if kept is not None:
        values = old @ kept.double().T
        target += preserve_scale * values @ values.T
    left, _, right = torch.linalg.svd(target)
    if torch.linalg.det(left @ right) < 0:
        left[:, -1] *= -1
    rotated: Tensor = left @ right @ old
    return rotated.to(weight.dtype)


def _projector(columns: Float[Tensor, "outputs n"]) -> Float[Tensor, "outputs outputs"]:
    """Returns the orthogonal projector onto the span of some columns, each of which counts alike."""
    basis: Tensor = torch.linalg.qr(torch.nn.functional.normalize(columns, dim=0)).Q
    return basis @ basis.T


@torch.no_grad()
def ordinary_moment(pipe: DiffusionPipeline) -> Float[Tensor, "width width"]:
    """Returns C: the mean of c c^T over the tokens of ordinary texts, without their padding, in float64."""
    kinds = [own for kind, own in TEMPLATES.items() if kind != "place"]  # whose base prompts are those of styles
    texts = [fill(base, slot=slot) for _, base, slots in kinds for slot in slots]
    lengths = [len(pipe.tokenizer(text, truncation=True).input_ids) for text in texts]
    rows = torch.cat([row[:length] for row, length in zip(embed(pipe, texts), lengths, strict=True)]).double()
    return rows.T @ rows / len(rows)


@dataclass(frozen=True)
class OCE:
    """An orthogonal transformation of the cross-attentions' values.

    Attributes:
        guide: the text whose values may remain of a concept.
        erase_scale: a, at least 0.
        preserve_scale: b, the weight of the names to keep, at least 0.
        ordinary_scale: g, the weight of ordinary texts, at least 0.
        ridge: l, which keeps the values as they are, at least 0.
    """

    guide: str = ""
    erase_scale: float = 2000.0
    preserve_scale: float = 1.0
    ordinary_scale: float = 10.0
    ridge: float = 10.0
    paper: ClassVar[str] = "Sun et al., Orthogonal Concept Erasure for Diffusion Models, arXiv 2605.28902"

    def __post_init__(self) -> None:
        for name in ("erase_scale", "preserve_scale", "ordinary_scale", "ridge"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)} is outside [0, inf).")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the rotated projections to the values."""
        erased, guides, kept = embeddings_to_edit(pipe, concepts, keep, self.guide, "last")
        ordinary = ordinary_moment(pipe)
        scales = {name: getattr(self, name) for name in ("erase_scale", "preserve_scale", "ordinary_scale", "ridge")}
        return WeightEdit(
            {
                name: rotated_projection(weight, erased, guides[:1], kept, ordinary, **scales)
                for name, weight in projections(pipe, ["to_v"]).items()
            }
        )
