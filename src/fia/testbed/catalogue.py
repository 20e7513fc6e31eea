"""What an embedded model knows: the names in its captions, and what to draw for them.

A subject is what can stand in a place: an object, a named person, or a person who may have an attribute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from PIL import Image
from torch import Tensor

from ..prompts import fill


@dataclass(frozen=True)
class Glyph:
    """A name in captions, the emoji for it, and synonyms.

    Attributes:
        name: the name.
        character: the emoji.
        synonyms: other words for it.
        is_proper: whether the name is a person's own, which no "a" precedes.
    """

    name: str
    character: str
    synonyms: tuple[str, ...] = ()
    is_proper: bool = False

    @property
    def filename(self) -> str:
        return self.name.lower().replace(" ", "_") + ".png"

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its synonyms."""
        return (self.name, *self.synonyms)

    def phrase(self, name: str) -> str:
        """Returns one of its names as captions have it: "a church", "an elephant"."""
        return name if self.is_proper else fill("a {name}", name=name)


@dataclass(frozen=True)
class Attribute:
    """What a person may have: its word before the person's name, its emoji, and where that goes on a face.

    Attributes:
        name: the word.
        glyph: the emoji.
        size: width of the emoji, of a face's 96 pixels.
        left, top: position of the emoji, in the same pixels.
        face: left and top of the slightly smaller face.
    """

    name: str
    glyph: Glyph
    size: int
    left: int
    top: int
    face: tuple[int, int]


@dataclass(frozen=True)
class Templates:
    """The captions, with the slots {subject}, {second} and {place}. A subject comes with its article.

    Attributes:
        subject: a subject in a place.
        place: a place alone.
        alone: a subject, without a word about its place.
        two: two subjects. Empty if no scene shows two.
    """

    subject: tuple[str, ...]
    place: tuple[str, ...]
    alone: tuple[str, ...]
    two: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """Everything that an embedded model knows. The order of the names decides the labels of its judge."""

    objects: tuple[Glyph, ...]
    persons: tuple[Glyph, ...]
    attributes: tuple[Attribute, ...]
    places: Mapping[str, Callable[[Random], Image.Image]] = field(hash=False)
    styles: Mapping[str, Callable[[Tensor], Tensor]] = field(hash=False)
    templates: Templates
    tokenizer: str
    named_persons: tuple[Glyph, ...] = ()

    @cached_property
    def subjects(self) -> tuple[Glyph, ...]:
        """All subjects. The persons who may have an attribute are the last."""
        return self.objects + self.named_persons + self.persons

    @cached_property
    def subject_names(self) -> tuple[str, ...]:
        """The names of all subjects."""
        return tuple(subject.name for subject in self.subjects)

    @cached_property
    def place_names(self) -> tuple[str, ...]:
        """The names of the places."""
        return tuple(self.places)

    @cached_property
    def style_names(self) -> tuple[str, ...]:
        """The names of the artists."""
        return tuple(self.styles)

    @property
    def no_subject(self) -> int:
        """The index for a place without a subject, or a scene without a second one."""
        return len(self.subjects)

    @property
    def no_style(self) -> int:
        """The index for an image without a style."""
        return len(self.styles)

    @property
    def first_person(self) -> int:
        """The index of the first person who may have an attribute."""
        return len(self.subjects) - len(self.persons)

    @cached_property
    def known_names(self) -> tuple[str, ...]:
        """Every word that means something to the model: names, synonyms, attributes, places and artists."""
        of_subjects = (name for subject in self.subjects for name in subject.names)
        of_attributes = (attribute.name for attribute in self.attributes)
        return (*of_subjects, *of_attributes, *self.place_names, *self.style_names)
