"""Concepts to forget, and the paper's sets of concepts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, get_args

from .errors import UsageError
from .settings import Mode

Kind = Literal["object", "style", "explicit"]


@dataclass(frozen=True)
class Concept:
    """A concept to forget.

    Attributes:
        name: the name that a prompt would use: "church", "Van Gogh", "naked".
        kind: decides the prompts that find it: an "object" in places, a "style" of objects, or "explicit" persons.
        temporal_ratio: its own r1, in [0, 1]. None takes that of the settings.
        spatial_ratio: its own r2, in [0, 1]. None takes that of the settings.
        prompts: pairs (prompt with the concept, same prompt without it) that replace the kind's prompts.

    Raises:
        ValueError: if the name is empty, the kind is unknown, a ratio is outside [0, 1], or the two prompts of a pair
            are equal.
    """

    name: str
    kind: Kind = "object"
    temporal_ratio: float | None = None
    spatial_ratio: float | None = None
    prompts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UsageError(
                f"A concept's name is empty ({self.name!r}); give the words that a prompt would use for it."
            )
        if self.kind not in get_args(Kind):
            raise UsageError(f"kind={self.kind!r} of concept {self.name!r} is not one of {', '.join(get_args(Kind))}.")
        for field in ("temporal_ratio", "spatial_ratio"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{field}={value} of concept {self.name!r} is outside [0, 1].")
        for pair in self.prompts:
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                raise UsageError(
                    f"prompts of concept {self.name!r} holds {pair!r}; give pairs (prompt with the concept, "
                    "same prompt without it)."
                )
            if pair[0] == pair[1]:
                raise UsageError(
                    f"prompts of concept {self.name!r} holds {pair[0]!r} twice in a pair; the first must ask for the "
                    "concept, and the second must not."
                )
        object.__setattr__(self, "prompts", tuple((concept, base) for concept, base in self.prompts))


# The paper's sets, with the ratios that it gives each concept (section 5 of docs/method.md).
PRESETS: dict[str, tuple[Concept, ...]] = {
    "imagenette": (
        Concept("parachute", spatial_ratio=0.03),
        Concept("golf ball", spatial_ratio=0.03),
        Concept("garbage truck", spatial_ratio=0.007),
        Concept("cassette player", spatial_ratio=0.007),
        Concept("church", spatial_ratio=0.007),
        Concept("tench", spatial_ratio=0.007),
        Concept("English springer", spatial_ratio=0.007),
        Concept("French horn", spatial_ratio=0.007),
        Concept("chain saw", spatial_ratio=0.007),
        Concept("gas pump", spatial_ratio=0.03),
    ),
    "explicit": (
        Concept("naked", "explicit", spatial_ratio=0.01),
        Concept("sexual", "explicit", spatial_ratio=0.01, temporal_ratio=0.06),
    ),
    "artists": (
        Concept("Van Gogh", "style", spatial_ratio=0.03),
        Concept("Monet", "style", spatial_ratio=0.02),
        Concept("Leonardo Da Vinci", "style", spatial_ratio=0.02),
        Concept("Salvador Dali", "style", spatial_ratio=0.02),
        Concept("Pablo Picasso", "style", spatial_ratio=0.02),
    ),
}


def preset(name: str) -> tuple[Concept, ...]:
    """Returns one of the paper's sets of concepts: "imagenette", "explicit" or "artists".

    Raises:
        ValueError: if the name is another.
    """
    if name not in PRESETS:
        raise UsageError(f"preset {name!r} is not one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def paper_agnostic_ratio(concepts: Iterable[Concept]) -> float:
    """Returns the paper's alpha for a set of concepts: 0.8 if all are styles, otherwise 0.6."""
    return 0.8 if all(concept.kind == "style" for concept in concepts) else 0.6


# r2 of concepts that the authors' code does not name. It names four of the paper's, with the paper's r2.
AUTHORS_SPATIAL_RATIOS: dict[Kind, float] = {"object": 0.007, "style": 0.02, "explicit": 0.01}


def with_authors_ratios(concepts: Iterable[Concept]) -> list[Concept]:
    """Returns the concepts with the r2 that the authors' code gives to their kind, if they have none."""
    return [
        replace(concept, spatial_ratio=AUTHORS_SPATIAL_RATIOS[concept.kind])
        if concept.spatial_ratio is None
        else concept
        for concept in concepts
    ]


def _as_in_paper(item: str | Concept, *fields: str) -> Concept:
    """Returns a concept with the kind and these ratios that the paper gives it, if the paper has it."""
    concept = Concept(item) if isinstance(item, str) else item
    for known in chain.from_iterable(PRESETS.values()):
        same_kind = isinstance(item, str) or concept.kind == known.kind
        if known.name.lower() == concept.name.lower() and same_kind and not concept.prompts:
            ratios = {
                field: getattr(known, field) if getattr(concept, field) is None else getattr(concept, field)
                for field in fields
            }
            return replace(concept, kind=known.kind, **ratios)
    return concept


def parse_concept(text: str) -> str | Concept:
    """Returns the concept for NAME:KIND. For NAME alone, returns the name.

    A colon with a space after it is part of the name: "Star Wars: A New Hope" is a name.

    Raises:
        ValueError: if the kind is unknown.
    """
    name, colon, kind = text.rpartition(":")
    if not colon or " " in kind:
        return text
    if kind not in get_args(Kind):
        raise UsageError(
            f"kind {kind!r} in {text!r} is not one of {', '.join(get_args(Kind))}. If the colon is part of the name, "
            f'give the kind too: "{text}:object".'
        )
    return Concept(name, kind)  # type: ignore[arg-type]


def as_concepts(concepts: str | Concept | Iterable[str | Concept], mode: Mode = "default") -> list[Concept]:
    """Returns a list of concepts. A name becomes a concept of kind "object".

    In "paper" mode, a concept that the paper forgets gets the paper's kind, and the paper's ratios if it has none. This
    ignores case. In "authors-code" mode it gets the kind and r2 alone, as in the authors' code.

    Args:
        concepts: names or concepts.
        mode: "default", "paper" or "authors-code".

    Raises:
        ValueError: if there is no concept, or a name is given twice.
    """
    if isinstance(concepts, str | Concept):
        concepts = [concepts]
    if mode == "default":
        result = [Concept(item) if isinstance(item, str) else item for item in concepts]
    else:
        fields = ("spatial_ratio", "temporal_ratio") if mode == "paper" else ("spatial_ratio",)
        result = [_as_in_paper(item, *fields) for item in concepts]
    if not result:
        raise UsageError("No concept was given; name at least one.")
    names = [concept.name for concept in result]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Concept {name!r} is given {names.count(name)} times; name it once.")
    return result
