"""SPEED (Li et al., ICLR 2026, arXiv 2503.07392): a closed form in the null space of what is retained.

SPEED changes the projection W to the values of every cross-attention. The change D projects the embedding c of a
concept as W projects that of a guide, c*, but only along directions that what is retained hardly uses:

    minimise mean_e ||(W + D) c - W c*||^2 + s ||D||^2   with   D = D P   and   D f = 0 for every invariant f

P projects onto the singular vectors of mean_r r r^T whose singular values are below a threshold, where r runs over the
retained embeddings. The invariants are the start token's embedding, and three centres of the empty text's other tokens.
With an orthonormal basis N of the directions that both constraints leave,

    D = W A N (N^T B N + s I)^-1 N^T,   A = mean_e (c* - c) c^T,   B = mean_e c c^T

which is the paper's formula without the inverses of its multipliers. What is retained is chosen for each layer:
- Influence-based filter: of the names to keep, those stay whose ||E r|| is above the mean, where E = W A (B + I)^-1 is
  the change without constraints.
- Directed augmentation: each of them is joined by noisy copies r + P1 n, where n is Gaussian noise and P1 projects onto
  the last right singular vector of W, the direction that W hardly sees. Of these, again those above the mean stay.

All embeddings are those of a text's last token. It differs from the authors' code in four points: the three centres
come from Lloyd's algorithm with a fixed start, so that the edit depends on the seed of the noise alone; the layers
share that noise; without names to keep, all tokens of the empty text are retained unfiltered; and no concept is an
exception (the code takes all tokens of "nudity").
"""

import logging
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
from .text_embeddings import embed, embeddings_to_edit
from .uce import projections

log = logging.getLogger("fia")

CENTRES = 3
ROUNDS = 100  # of Lloyd's algorithm, which has converged long before


def constrained_change(
    weight: Float[Tensor, "outputs width"],
    erased: Float[Tensor, "e width"],
    guides: Float[Tensor, "e width"],
    retained: Float[Tensor, "r width"],
    invariants: Float[Tensor, "f width"],
    *,
    threshold: float,
    ridge: float,
) -> Float[Tensor, "outputs width"]:
    """Returns D of the module's formula, for float64.

    Args:
        weight: W.
        erased: the embeddings c.
        guides: the embeddings c*, one for each c.
        retained: the embeddings r.
        invariants: the embeddings f.
        threshold: below it, a singular value of the retained embeddings' second moment counts as zero.
        ridge: s, above 0.
    """
    left, values, _ = torch.linalg.svd(retained.T @ retained / len(retained))
    free = left[:, values < threshold]
    _, values, right = torch.linalg.svd(invariants @ free, full_matrices=True)
    basis = free @ right[int((values > 1e-10 * invariants.norm()).sum()) :].T
    inputs, changes = erased @ basis, guides - erased
    moment = inputs.T @ inputs / len(erased) + ridge * torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)
    solved = torch.linalg.solve(moment, (weight @ (changes.T @ inputs) / len(erased)).T)
    change: Tensor = solved.T @ basis.T
    return change


def unconstrained_change(weight: Tensor, erased: Tensor, guides: Tensor) -> Float[Tensor, "outputs width"]:
    """Returns E of the module's text, for float64."""
    moment = erased.T @ erased / len(erased) + torch.eye(erased.shape[1], dtype=erased.dtype, device=erased.device)
    solved: Tensor = torch.linalg.solve(moment, (weight @ (guides - erased).T @ erased / len(erased)).T)
    return solved.T


def most_influenced(change: Float[Tensor, "outputs width"], rows: Float[Tensor, "r width"]) -> Tensor:
    """Returns the embeddings that a change moves more than the mean, or all if none is above it."""
    moved = (rows @ change.T).norm(dim=1)
    most = rows[moved > moved.mean()]
    return most if len(most) else rows


def refine(weight: Tensor, change: Tensor, kept: Tensor, noise: Float[Tensor, "copies k width"]) -> Tensor:
    """Returns what is retained in a layer: the filtered names, and the filtered copies of them.

    Args:
        weight: W.
        change: E.
        kept: the embeddings of the names to keep.
        noise: Gaussian noise for each copy of each name. Without copies, the names are not filtered either.
    """
    if len(noise) == 0:
        return kept
    filtered = most_influenced(change, kept)
    unseen = torch.linalg.svd(weight, full_matrices=False).Vh[-1]
    copies = filtered + (noise[:, : len(filtered)] @ unseen)[..., None] * unseen
    return torch.cat([filtered, most_influenced(change, copies.flatten(0, 1))])


def centres(rows: Float[Tensor, "n width"], number: int = CENTRES) -> Float[Tensor, "number width"]:
    """Returns the centres of clusters, by Lloyd's algorithm from rows at equal distances."""
    means = rows[torch.linspace(0, len(rows) - 1, number, device=rows.device).round().long()]
    for _ in range(ROUNDS):
        nearest = torch.cdist(rows, means).argmin(dim=1)
        means = torch.stack(
            [rows[nearest == i].mean(dim=0) if (nearest == i).any() else means[i] for i in range(number)]
        )
    return means


@dataclass(frozen=True)
class SPEED:
    """Closed-form editing of the values in the null space of what is retained.

    Attributes:
        guide: the text that the model generates instead of a concept.
        threshold: below it, a singular value counts as zero; above 0.
        ridge: s, above 0.
        copies: how many noisy copies join each retained name. 0 retains the names alone, unfiltered.
        seed: seed of the noise.
    """

    guide: str = ""
    threshold: float = 0.1
    ridge: float = 1.0
    copies: int = 10
    seed: int = 0
    paper: ClassVar[str] = "Li et al., SPEED, arXiv 2503.07392"

    def __post_init__(self) -> None:
        for name in ("threshold", "ridge"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)}; it must be above 0.")
        if self.copies < 0:
            raise UsageError(f"copies={self.copies}; it must be at least 0.")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the edited projections to the values. Warns if a layer has no direction left to change."""
        erased, guides, kept = embeddings_to_edit(pipe, concepts, keep, self.guide, "last")
        empty = embed(pipe, [""])[0].double()
        erased, guides = erased.double(), guides.double()
        invariants = torch.cat([empty[:1], centres(empty[1:])])
        rows = empty[1:] if kept is None else kept.double()
        copies = 0 if kept is None else self.copies
        noise = torch.randn(copies, *rows.shape, dtype=rows.dtype, generator=torch.Generator().manual_seed(self.seed))
        edited = {}
        for name, weight in projections(pipe, ["to_v"]).items():
            old = weight.double()
            retained = refine(old, unconstrained_change(old, erased, guides), rows, noise.to(rows.device))
            change = constrained_change(
                old, erased, guides, retained, invariants, threshold=self.threshold, ridge=self.ridge
            )
            if not change.any():
                log.warning(f"SPEED has no direction left to change in {name}; raise its threshold ({self.threshold}).")
            edited[name] = (old + change).to(weight.dtype)
        return WeightEdit(edited)
