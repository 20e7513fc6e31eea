"""No attack: what is measured before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image

from ..drawing.images import Request
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs


@dataclass(frozen=True)
class Plain(Attack):
    """The prompts as they are."""

    title: ClassVar[str] = "before"
    paper: ClassVar[str] = "none"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "drawing"

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws the prompts."""
        return draw_plain(case.victim, requests, case.drawing)
