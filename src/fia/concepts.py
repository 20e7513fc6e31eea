"""What to forget: concepts, and the paper's own by name."""

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
        name: as it would stand in a prompt: "church", "Van Gogh", "naked".
        kind: decides the prompts it is looked for with: an "object" in places, a "style" of objects, "explicit"
            persons.
        temporal_ratio: its own r1, in [0, 1]; the settings' where None.
        spatial_ratio: its own r2, in [0, 1]; the settings' where None.
        prompts: pairs (prompt with the concept, same prompt without it) to use in place of the kind's.

    Raises:
        ValueError: for an empty name, an unknown kind, a ratio outside [0, 1], or a prompt paired with itself.
    """

    name: str
    kind: Kind = "object"
    temporal_ratio: float | None = None
    spatial_ratio: float | None = None
    prompts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UsageError("A concept's name is empty; give the words that a prompt would use for it.")
        if self.kind not in get_args(Kind):
            raise UsageError(f"kind={self.kind!r} of concept {self.name!r} is not one of {', '.join(get_args(Kind))}.")
        for field in ("temporal_ratio", "spatial_ratio"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{field}={value} of concept {self.name!r} is outside [0, 1].")
        for pair in self.prompts:
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                raise UsageError(
                    f"prompts of concept {self.name!r} holds {pair!r}; give pairs (prompt with it, prompt without)."
                )
            if pair[0] == pair[1]:
                raise UsageError(
                    f"prompts of concept {self.name!r} holds {pair[0]!r} twice in a pair; the first must ask for the "
                    "concept, and the second for the same without it."
                )
        object.__setattr__(self, "prompts", tuple((concept, base) for concept, base in self.prompts))


# The paper's sets, with the ratios it gives each concept (section 5 of docs/method.md).
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
        ValueError: for another name.
    """
    if name not in PRESETS:
        raise UsageError(f"preset {name!r} is not one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def paper_agnostic_ratio(concepts: Iterable[Concept]) -> float:
    """Returns the paper's alpha for a set of concepts: 0.8 for styles, otherwise (and for mixed sets) 0.6."""
    return 0.8 if all(concept.kind == "style" for concept in concepts) else 0.6


def _as_in_paper(item: str | Concept) -> Concept:
    """Returns the concept with what the paper says of it, where it says anything."""
    concept = Concept(item) if isinstance(item, str) else item
    for known in chain.from_iterable(PRESETS.values()):
        same_kind = isinstance(item, str) or concept.kind == known.kind
        if known.name.lower() == concept.name.lower() and same_kind and not concept.prompts:
            ratios = {
                field: getattr(known, field) if getattr(concept, field) is None else getattr(concept, field)
                for field in ("temporal_ratio", "spatial_ratio")
            }
            return replace(concept, kind=known.kind, **ratios)
    return concept


def parse_concept(text: str) -> str | Concept:
    """Returns the concept that NAME:KIND stands for, or NAME alone.

    A colon before anything but a kind is a part of the name: "Star Wars: A New Hope" is a name.
    """
    name, _, kind = text.rpartition(":")
    return Concept(name, kind) if kind in get_args(Kind) and name else text  # type: ignore[arg-type]


def as_concepts(concepts: str | Concept | Iterable[str | Concept], mode: Mode = "default") -> list[Concept]:
    """Returns concepts for names, and refuses an empty list and a name given twice.

    A name is an object's. In "paper" mode, a name that the paper forgets takes its kind, and its ratios where
    none are given; large and small letters are the same.

    Raises:
        ValueError: as said.
    """
    if isinstance(concepts, str | Concept):
        concepts = [concepts]
    if mode == "paper":
        result = [_as_in_paper(item) for item in concepts]
    else:
        result = [Concept(item) if isinstance(item, str) else item for item in concepts]
    if not result:
        raise UsageError("No concept was given; name at least one.")
    names = [concept.name for concept in result]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Concept {name!r} is given {names.count(name)} times; name it once.")
    return result
