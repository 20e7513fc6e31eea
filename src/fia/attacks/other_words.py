"""Other words: a prompt names the concept by a synonym, in the plural, misspelled, or in another language."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from PIL import Image

from ..drawing.images import Request
from ..evaluation.rephrase import other_words
from ..models.pipelines import embedded_name
from ..settings import check_at_least_one
from ..testbed.world import OBJECTS
from .draw import best_of, draw_plain
from .interface import Attack, Case, Group, Learned, Needs
from .targets import around


@dataclass(frozen=True)
class OtherWords(Attack):
    """Synonyms, misspellings, plurals and translations in place of the name."""

    title: ClassVar[str] = "other words"
    paper: ClassVar[str] = "none; the words of fia evaluate's task robust-prompts"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "drawing"

    words: int = 24
    """the most words to try for each prompt; one that the judge accepts is enough"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "words")

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws the same prompts and seeds with each word."""
        return best_of(case, requests, [partial(self._draw, case, word) for word in self.words_for(case)])

    def _draw(self, case: Case, word: str, requests: list[Request]) -> list[Image.Image]:
        other = [
            Request(word.join(around(one.prompt, case.concept.name)), one.seed, one.guidance_scale) for one in requests
        ]
        return draw_plain(case.victim, other, case.drawing)

    def words_for(self, case: Case) -> list[str]:
        """Returns the words: first those of the embedded model's captions, if it is one, then those of any model."""
        words = [word for _, word in other_words(case.concept.name)]
        if embedded_name(case.original):
            words = [word for thing in OBJECTS if thing.name == case.concept.name for word in thing.synonyms] + words
        return list(dict.fromkeys(words))[: self.words]
