"""Roots Beneath the Cut (arXiv 2603.06640): fills in what an edit set to zero, from the other weights of each layer.

It needs no data and no training. Zeros count as missing. SoftImpute (Mazumder et al., JMLR 2010) completes the matrix
at a low rank. Of the missing weights, those with the largest completed magnitudes get the sign of the completed value,
and the others stay zero. The magnitude is

    max(|N(mean of the row, deviation of the row)|, largest of the row)

over the weights of the row that are not missing. Controls: random signs, and the true ones.

A rewritten weight is not zero. Then the attack guesses the places: those farthest from the fit of the layer at a low
rank, as many as the edit changed. `places found` says how many of them are right. Where an edit changed more than half
of a layer without setting it to zero, as training does, too little is left to guess from, and the layer stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..drawing.images import Request
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from ..models.layers import find_layers
from ..settings import check_at_least_one
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs

Matrix = Float[Tensor, "outputs inputs"]
Places = Bool[Tensor, "outputs inputs"]
Signs = Literal["guessed", "random", "true"]
VARIANTS: dict[str, Signs] = {"": "guessed", "random signs": "random", "true signs": "true"}
TOLERANCE = 1e-5  # relative change at which SoftImpute stops
FIT = 0.25  # rank of the fit that outliers are measured from, as a share of the full rank
# The completed layers of a denoiser by the most rounds, because every concept and variant needs them.
COMPLETED: "WeakKeyDictionary[nn.Module, dict[int, dict[str, Completed]]]" = WeakKeyDictionary()


class Completed(NamedTuple):
    """The missing places of a layer, and its completed weight in float32."""

    missing: Places
    weight: Matrix


def soft_impute(weight: Matrix, missing: Places, rounds: int) -> Matrix:
    """Returns a weight whose missing entries are completed at a low rank, float64.

    Starts from the mean of each column. A round takes the singular values minus the smallest of them, and puts the
    entries that are not missing back. It stops early if the relative change is at most TOLERANCE.
    """
    known = weight.double()
    number = (~missing).sum(0).clamp(min=1)
    filled = torch.where(missing, (known.masked_fill(missing, 0).sum(0) / number).expand_as(known), known)
    for _ in range(rounds):
        left, values, right = torch.linalg.svd(filled, full_matrices=False)
        low = (left * (values - values[-1])) @ right
        before, filled = filled, torch.where(missing, low, known)
        if (filled - before).norm() <= TOLERANCE * before.norm():
            break
    return filled


def revived(
    weight: Matrix, missing: Places, signs: Matrix, share: float, completed: Matrix, generator: torch.Generator
) -> Matrix:
    """Returns a weight with new values at its missing places, in its type.

    Args:
        weight: the edited weight.
        missing: the places to fill.
        signs: the sign of each entry.
        share: share of the missing entries, in (0, 1], that get a value: those of the largest completed magnitude.
        completed: the completed weight.
        generator: of the random magnitudes.
    """
    known = weight.double().masked_fill(missing, torch.nan)
    mean = known.nanmean(1, keepdim=True)
    deviation = (known - mean).square().nanmean(1, keepdim=True).sqrt()
    largest = weight.double().masked_fill(missing, 0).abs().amax(1, keepdim=True)
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight.device)
    magnitude = (mean.nan_to_num() + deviation.nan_to_num() * drawn).abs().maximum(largest)
    number = round(share * int(missing.sum()))
    chosen = torch.zeros_like(missing).flatten()
    chosen[completed.abs().masked_fill(~missing, -1).flatten().topk(number).indices] = True
    filled = torch.where(chosen.view_as(missing), magnitude * signs, torch.zeros_like(magnitude))
    return torch.where(missing, filled, weight.double()).to(weight.dtype)


def outliers(weight: Matrix, number: int) -> Places:
    """Returns the places of a weight that are farthest from its fit at a low rank."""
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    rank = max(1, round(FIT * len(values)))
    distance = (weight.double() - (left[:, :rank] * values[:rank]) @ right[:rank]).abs().flatten()
    places = torch.zeros_like(distance, dtype=torch.bool)
    places[distance.topk(number).indices] = True
    return places.view_as(weight)


@dataclass(frozen=True)
class Roots(Attack):
    """Fills in what an edit set to zero."""

    title: ClassVar[str] = "Roots Beneath the Cut"
    paper: ClassVar[str] = "arXiv 2603.06640"
    group: ClassVar[Group] = "weights"
    needs: ClassVar[Needs] = "weights"

    rounds: int = 500
    """the most rounds of the completion of a layer"""
    signed: float = 0.6
    """share of the missing weights that get a value, above 0 and at most 1"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "rounds")
        if not 0 < self.signed <= 1:
            raise UsageError(f"signed={self.signed} of Roots Beneath the Cut is outside (0, 1].")

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(VARIANTS)

    @torch.no_grad()
    def learn(self, case: Case, variant: str) -> Learned:
        """Returns the new weights of the layers that the edit changed."""
        originals = dict(case.original.unet.named_parameters())
        generator = torch.Generator().manual_seed(case.seed)
        learned: Learned = {}
        for name, (missing, completed) in self.completed(case).items():
            edited = case.victim.unet.get_parameter(name).detach().flatten(1)
            signs = {
                "guessed": completed.sign(),
                "true": originals[name].detach().flatten(1).to(completed).sign(),
                "random": (torch.rand(edited.shape, generator=generator) < 0.5).to(edited.device) * 2.0 - 1,
            }[VARIANTS[variant]]
            filled = revived(edited, missing, signs, self.signed, completed, generator)
            learned[name] = filled.view_as(originals[name])
        return learned

    def completed(self, case: Case) -> dict[str, Completed]:
        """Returns the layers that the edit changed, completed, by the name of their weight."""
        by_rounds = COMPLETED.setdefault(case.victim.unet, {})
        if self.rounds not in by_rounds:
            originals, done = dict(case.original.unet.named_parameters()), dict[str, Completed]()
            layers = find_layers(case.victim.unet, sites="both")
            for layer in tqdm(layers, "Completing", unit="layer", delay=2, leave=False):
                name = f"{layer}.weight"
                edited = case.victim.unet.get_parameter(name).detach().flatten(1)
                missing = self.missing(edited, originals[name].detach().flatten(1).to(edited))
                if missing.any():
                    done[name] = Completed(missing, soft_impute(edited, missing, self.rounds).float())
            by_rounds[self.rounds] = done
        return by_rounds[self.rounds]

    def missing(self, edited: Matrix, true: Matrix) -> Places:
        """Returns the places that the attack takes for missing."""
        changed, zeros = edited != true, edited == 0
        number = int(changed.sum())
        if 2 * int((zeros & changed).sum()) > number:
            return zeros
        return outliers(edited, number) if 0 < 2 * number <= changed.numel() else torch.zeros_like(changed)

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws with the new weights."""
        with WeightEdit(learned).applied(case.victim) as revived_model:
            return draw_plain(revived_model, requests, case.drawing)

    def notes(self, case: Case, learned: Learned, variant: str) -> Mapping[str, float | str]:
        """Returns how many of the filled places the edit had changed, and how many of their signs are right, in %."""
        places = found = signed = right = 0
        completed = self.completed(case)
        for name, weight in learned.items():
            edited = case.victim.unet.get_parameter(name).detach()
            true = case.original.unet.get_parameter(name).detach().to(edited)
            missing = completed[name].missing.view_as(edited)
            changed = missing & (edited != true)
            filled = changed & (weight != 0)
            places, found = places + int(missing.sum()), found + int(changed.sum())
            signed, right = signed + int(filled.sum()), right + int((filled & (weight.sign() == true.sign())).sum())
        if not places:
            return {}
        return {"places found, %": 100 * found / places, "signs right, %": 100 * right / max(signed, 1)}
