"""Merging: (1 - w) times the edited weights plus w times the original's. For a mask, that is a strength of 1 - w."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image

from ..drawing.images import Request
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs


@dataclass(frozen=True)
class Merge(Attack):
    """A mean of the edited and the original model."""

    title: ClassVar[str] = "merged with the original"
    paper: ClassVar[str] = "none; Wortsman et al., arXiv 2203.05482, for the mean of weights"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "weights"

    weights: tuple[float, ...] = (0.25, 0.5, 0.75)
    """weights of the original, above 0 and below 1; each is measured"""

    def __post_init__(self) -> None:
        if not self.weights or not all(0 < weight < 1 for weight in self.weights):
            raise UsageError(f"weights={self.weights} of the merge; give numbers above 0 and below 1.")

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"w = {weight:g}" for weight in self.weights)

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws with the mean of both denoisers."""
        share, originals = self.weights[self.variants.index(variant)], case.original.unet.state_dict()
        weights = {
            name: weight.detach().lerp(originals[name].to(weight), share)
            for name, weight in case.victim.unet.named_parameters()
        }
        with WeightEdit(weights).applied(case.victim) as merged:
            return draw_plain(merged, requests, case.drawing)
