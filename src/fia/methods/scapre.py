"""Scalable-Precise Concept Unlearning, ScaPre (Deng et al., ICLR 2026, arXiv 2601.06162): UCE for many concepts.

ScaPre replaces the projections to keys and values of every cross-attention, row by row. For row w_i of W it solves

    [(l + u) I + R + C C^T + a sum c c^T + a max_k m_ik P] v = (l + u) w_i + a sum_k m_ik sum (w_i c*) c^T

- C holds the embedding of each concept's last token, column by column, and P projects onto its span. The sums run over
  the embeddings c of each concept k from its last token onwards, and c* are those of the guide ("tail" of `uce`).
- m_ik (the Informax decoupler) says how much row i knows of concept k. The row's outputs for five noisy copies of the
  concept's embedding and five of the empty text's are split at their median. Their mutual information with what they
  are copies of, standardised over the rows, gives m = sigmoid(z / 0.7)^p.
- u is the mean over the rows of the entropy, between 0 and 1, of a row's outputs for noisy copies of all concepts'
  embeddings, in twenty bins between the least and the largest.
- R = u U diag(1 - sigmoid(S - median S)) U^T (the spectral regulariser), where C = U S V^T.

At last v is drawn towards w_i (geometry alignment): with q = max(0, cos(v, w_i)), the new row has the direction of
(l + u) v + u q w_i and the length ((l + u) ||v|| + u q ||w_i||) / (l + 2 u); `rounds` repeats this with q from the new
row.

The method has no list of names to keep. The formulas are those of the authors' code for many concepts, with its
spectral regulariser and its decoupler switched on, and without a step that the code leaves off ("EGBR"). It differs in
two points: all layers share the noise, which a seed fixes; and rows are solved together by the identity of Woodbury.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..concepts import Concept
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..settings import check_at_least_one
from .text_embeddings import embed, tail_embeddings
from .uce import projections

COPIES, COPIES_FOR_ENTROPY, NOISE, BINS = 5, 20, 0.01, 20
TEMPERATURE = 0.7  # of the decoupler
TINY = 1e-8


def informax(
    weight: Float[Tensor, "outputs width"],
    concept: Float[Tensor, "copies width"],
    empty: Float[Tensor, "copies width"],
    power: float,
) -> Float[Tensor, " outputs"]:
    """Returns m of each row for one concept, from noisy copies of its embedding and of the empty text's."""
    outputs = weight @ torch.cat([concept, empty]).T
    is_high = outputs > outputs.median(dim=1, keepdim=True).values
    copies = len(concept)
    of_concept, of_empty = is_high[:, :copies].sum(dim=1), is_high[:, copies:].sum(dim=1)
    counts = torch.stack([of_concept, of_empty, copies - of_concept, copies - of_empty]).unflatten(0, (2, 2))
    joint = (counts.to(weight.dtype) + TINY) / (2 * copies)  # (high or low) x (concept or empty) x rows
    independent = joint.sum(dim=0, keepdim=True) * joint.sum(dim=1, keepdim=True)
    information = (joint * (joint / independent).log()).sum(dim=(0, 1))
    standardised = (information - information.mean()) / (information.std() + TINY)
    mask: Tensor = (standardised / TEMPERATURE).sigmoid() ** power
    return mask


def mean_entropy(weight: Float[Tensor, "outputs width"], copies: Float[Tensor, "n width"]) -> float:
    """Returns u: the mean over rows of the entropy of their outputs, between 0 and 1."""
    outputs = weight @ copies.T
    least, largest = outputs.amin(dim=1, keepdim=True), outputs.amax(dim=1, keepdim=True)
    bins = ((outputs - least) / (largest - least + TINY) * BINS).long().clamp(max=BINS - 1)
    counts = torch.zeros(len(weight), BINS, dtype=weight.dtype, device=weight.device)
    shares = counts.scatter_add_(1, bins, torch.ones_like(outputs)) / len(copies)
    entropy = -(shares * (shares + TINY).log()).sum(dim=1) / math.log(BINS)
    return float(entropy.clamp(0, 1).mean())


def solved_rows(
    weight: Float[Tensor, "outputs width"],
    tails: Sequence[tuple[Float[Tensor, "n width"], Float[Tensor, "n width"]]],
    masks: Float[Tensor, "outputs concepts"],
    entropy: float,
    *,
    erase_scale: float,
    ridge: float,
) -> Float[Tensor, "outputs width"]:
    """Returns v of the module's formula for every row, for float64.

    Args:
        weight: W.
        tails: for each concept, its embeddings c and the guide's c*.
        masks: m.
        entropy: u.
        erase_scale: a.
        ridge: l.
    """
    concepts = torch.stack([own[0] for own, _ in tails])
    _, values, right = torch.linalg.svd(concepts, full_matrices=False)
    gate = (values - values.median()).sigmoid()
    system = (ridge + entropy) * torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
    system += entropy * (right.T * (1 - gate)) @ right + concepts.T @ concepts
    wanted = (ridge + entropy) * weight
    for (own, guide), mask in zip(tails, masks.T, strict=True):
        system += erase_scale * own.T @ own
        wanted = wanted + erase_scale * mask[:, None] * (weight @ guide.T @ own)
    basis = right[values > TINY * values[0]].T  # of the span of C
    without, spanned = torch.linalg.solve(system, wanted.T).T, torch.linalg.solve(system, basis)
    curvature, turn = torch.linalg.eigh(basis.T @ spanned)
    strength = erase_scale * masks.amax(dim=1, keepdim=True)
    taken = (without @ basis @ turn) * (strength / (1 + strength * curvature))
    result: Tensor = without - taken @ turn.T @ spanned.T
    return result


def aligned(
    rows: Float[Tensor, "outputs width"], old: Float[Tensor, "outputs width"], entropy: float, ridge: float, rounds: int
) -> Float[Tensor, "outputs width"]:
    """Draws rows towards the old ones, as the module's text says."""
    own, pull, new = ridge + entropy, entropy * old, rows
    for _ in range(rounds):
        cosine = (normalize(new, dim=1) * normalize(old, dim=1)).sum(dim=1, keepdim=True).clamp(min=0)
        length = own * rows.norm(dim=1, keepdim=True) + cosine * pull.norm(dim=1, keepdim=True)
        new = normalize(own * rows + cosine * pull, dim=1) * length / (own + entropy)
    return new


@dataclass(frozen=True)
class ScaPre:
    """Closed-form editing of cross-attention that weighs every row by what it knows of the concepts.

    Attributes:
        guide: the text that the model generates instead of a concept.
        erase_scale: a, above 0.
        ridge: l, above 0.
        power: p, above 0. A larger one confines the edit to fewer rows.
        rounds: how often the rows are drawn towards the old ones, at least 1.
        seed: seed of the noise.
    """

    guide: str = ""
    erase_scale: float = 2.0
    ridge: float = 0.5
    power: float = 8.0
    rounds: int = 1
    seed: int = 0
    paper: ClassVar[str] = "Deng et al., Forget Many, Forget Right (ScaPre), arXiv 2601.06162"

    def __post_init__(self) -> None:
        check_at_least_one(self, "rounds")
        for name in ("erase_scale", "ridge", "power"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)}; it must be above 0.")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the edited projections. The method does not use `keep`."""
        tails = []
        for concept in concepts:
            own, guide = tail_embeddings(pipe, [concept.name, self.guide])
            tails.append((own.double(), guide.double()))
        lasts, empty = torch.stack([own[0] for own, _ in tails]), embed(pipe, [""])[0, 1].double()
        generator = torch.Generator().manual_seed(self.seed)

        def noisy(rows: Tensor, copies: int) -> Tensor:
            noise = torch.randn(copies, *rows.shape, dtype=rows.dtype, generator=generator)
            return rows + NOISE * noise.to(rows.device)

        pairs = [(noisy(last, COPIES), noisy(empty, COPIES)) for last in lasts]
        for_entropy = noisy(lasts, COPIES_FOR_ENTROPY).flatten(0, 1)
        edited = {}
        for name, weight in projections(pipe).items():
            old = weight.double()
            masks = torch.stack([informax(old, *pair, self.power) for pair in pairs], dim=1)
            entropy = mean_entropy(old, for_entropy)
            rows = solved_rows(old, tails, masks, entropy, erase_scale=self.erase_scale, ridge=self.ridge)
            edited[name] = aligned(rows, old, entropy, self.ridge, self.rounds).to(weight.dtype)
        return WeightEdit(edited)
