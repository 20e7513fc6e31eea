"""The interface of all attacks. An attack tries to make an edited model draw a concept that it should have forgotten.

An attack is a dataclass whose fields are its budget. It learns something about an edited model and a concept (a prompt,
an embedding, new weights), and then draws with it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from diffusers import StableDiffusionPipeline
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..concepts import Concept
from ..drawing.images import Drawing, Request

Group = Literal["free", "text", "white", "weights"]
Needs = Literal["drawing", "text encoder", "gradients", "weights"]
Learned = dict[str, Tensor]  # what an attack learns, by name


@dataclass(frozen=True)
class Picture:
    """An image that the original model drew, and its prompt."""

    prompt: str
    image: Image.Image


@dataclass(frozen=True, eq=False)
class Case:
    """A concept and a model that should have forgotten it.

    Attributes:
        concept: the concept.
        victim: the edited model, which belongs to the attack. After each call of the attack it is as before.
        original: the untouched model. An attack does not change it.
        drawing: how images are generated.
        sees: says for each image whether the judge sees the concept in it.
        pictures: images of the concept by the original model, as many as the attack asks for.
        others: images of other things by the original model, as many as the attack asks for.
        seed: seed of everything that the attack chooses at random.
    """

    concept: Concept
    victim: StableDiffusionPipeline
    original: StableDiffusionPipeline
    drawing: Drawing
    sees: Callable[[Sequence[Image.Image]], list[bool]]
    pictures: Sequence[Picture] = ()
    others: Sequence[Picture] = ()
    seed: int = 0


@dataclass(frozen=True, eq=False)
class FoundWords:
    """New words with which a concept came back.

    Attributes:
        embeddings: the embedding of each word, in their order.
        replaces_name: whether they stand in place of the concept's name. Otherwise they stand before the prompt.
    """

    embeddings: Float[Tensor, "words width"]
    replaces_name: bool


class Attack(ABC):
    """An attack.

    Attributes:
        title: its name for people.
        paper: its source.
        group: the group that the command line knows it by.
        needs: what the attacker must have of the edited model.
        one_at_a_time: whether it works on one request at a time.
        finds_words: whether it finds words of which `found_words` tells. Then what it learned is kept with its result.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    group: ClassVar[Group]
    needs: ClassVar[Needs]
    one_at_a_time: ClassVar[bool] = False
    finds_words: ClassVar[bool] = False

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the ways in which it runs, each a row of the report; one empty name if there is only one way."""
        return ("",)

    @property
    def number_of_pictures(self) -> int:
        """How many images of the concept by the original model it uses."""
        return 0

    @property
    def number_of_others(self) -> int:
        """How many images of other things by the original model it uses."""
        return 0

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:  # noqa: B027 (most need nothing)
        """Raises an explained error if the attack cannot run on a pipeline, before anything is drawn."""

    def learn(self, case: Case, variant: str) -> Learned:
        """Returns what the attack learns about the edited model before it draws."""
        return {}

    @abstractmethod
    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Returns the image with which the attack comes nearest, for each request.

        An attack that finds words for each request adds them to what it learned.
        """

    def notes(self, case: Case, learned: Learned, variant: str) -> Mapping[str, float | str]:
        """Returns what else there is to say about what it learned, such as the prompt that it found."""
        return {}

    def found_words(self, learned: Learned) -> list[FoundWords]:
        """Returns the words that it found."""
        return []
