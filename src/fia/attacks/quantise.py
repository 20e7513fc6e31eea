"""Quantisation: a round trip of the edited weights through int8 or int4.

In language models, four bits bring back much of what was unlearned, because a small change rounds away (Zhang et al.,
arXiv 2410.16454). Each row of a weight (an output channel) is rounded to 2^(bits - 1) - 1 levels on each side of zero,
and its largest magnitude is the last of them. So a zero stays zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from ..drawing.images import Request
from ..edits.weight_edit import WeightEdit
from ..errors import UsageError
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs

MOST_BITS = 8


@torch.no_grad()
def rounded(weight: Tensor, bits: int) -> Tensor:
    """Returns a weight (outputs, ...) after a symmetric round trip through integers, in its type."""
    levels = 2 ** (bits - 1) - 1
    rows = weight.float().flatten(1)
    scale = rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / levels
    coarse: Tensor = (rows / scale).round() * scale
    return coarse.view_as(weight).to(weight.dtype)


@dataclass(frozen=True)
class Quantise(Attack):
    """The edited weights in few bits."""

    title: ClassVar[str] = "quantised"
    paper: ClassVar[str] = "Zhang et al., arXiv 2410.16454"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "weights"

    bits: tuple[int, ...] = (8, 4)
    """bits of a weight, from 2 to 8; each is measured"""

    def __post_init__(self) -> None:
        if not self.bits or not all(2 <= bits <= MOST_BITS for bits in self.bits):
            raise UsageError(f"bits={self.bits} of the quantisation; give numbers from 2 to {MOST_BITS}.")

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"int{bits}" for bits in self.bits)

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws with every linear and convolution of the denoiser rounded."""
        bits = self.bits[self.variants.index(variant)]
        weights = {
            f"{name}.weight": rounded(module.weight.detach(), bits)
            for name, module in case.victim.unet.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        }
        with WeightEdit(weights).applied(case.victim) as coarse:
            return draw_plain(coarse, requests, case.drawing)
