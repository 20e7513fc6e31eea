"""Concepts to forget, how they are written in one line of text, and the paper's sets of concepts."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal, get_args

from .errors import UsageError, did_you_mean
from .settings import Mode

Kind = Literal["object", "style", "explicit", "place"]
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's categories of characters that control, but show nothing
JOINERS = "\u200c\u200d"  # these belong to the spelling of some languages


@dataclass(frozen=True)
class Concept:
    """A concept to forget.

    Attributes:
        name: the name that a prompt would use: "church", "Van Gogh", "naked". Synonyms may follow after bars:
            "church|chapel|minster". White space around it is dropped.
        kind: decides the prompts that find it: an "object" in places, a "style" of objects, "explicit" persons, or a
            "place" with objects in it.
        temporal_ratio: its own r1, in [0, 1]. None takes that of the settings.
        spatial_ratio: its own r2, in [0, 1]. None takes that of the settings.
        prompts: pairs (prompt with the concept, same prompt without it) that replace the kind's prompts.
        synonyms: other words for the same concept. Each has its own prompts, and all of them count as one concept. What
            differs from another word only in case or its article is dropped.

    Raises:
        ValueError: if a name is empty or holds an invisible character, the kind is unknown, a ratio is outside [0, 1],
            or the prompts of a pair are equal or both hold the concept.
    """

    name: str
    kind: Kind = "object"
    temporal_ratio: float | None = None
    spatial_ratio: float | None = None
    prompts: tuple[tuple[str, str], ...] = ()
    synonyms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.synonyms, str):
            raise UsageError(f"synonyms={self.synonyms!r} is a text; give a tuple: synonyms=({self.synonyms!r},).")
        if not isinstance(self.name, str):
            raise UsageError(f"name={self.name!r} is a {type(self.name).__name__}; give the words of a prompt.")
        words = [clean_name(word) for word in (*self.name.split("|"), *self.synonyms)]
        forms = list(map(comparable, words))
        name, *synonyms = [word for i, word in enumerate(words) if forms[i] not in forms[:i]]
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "synonyms", tuple(synonyms))
        if self.kind not in get_args(Kind):
            raise UsageError(f"kind={self.kind!r} of concept {self.name!r} is not one of {', '.join(get_args(Kind))}.")
        for field in ("temporal_ratio", "spatial_ratio"):
            value = getattr(self, field)
            if value is not None and not isinstance(value, int | float):
                raise UsageError(f"{field}={value!r} of concept {self.name!r} is not a number.")
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
            if self.is_in(pair[1]):
                raise UsageError(
                    f"The base prompt {pair[1]!r} of concept {self.name!r} holds the concept itself; give the same "
                    'scene without it. A model does not understand "no" or "without".'
                )
        object.__setattr__(self, "prompts", tuple((concept, base) for concept, base in self.prompts))

    @property
    def words(self) -> tuple[str, ...]:
        """The name and the synonyms."""
        return self.name, *self.synonyms

    def is_in(self, prompt: str) -> bool:
        """Returns whether a prompt holds the name or a synonym as whole words, in any case."""
        return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE) for word in self.words)


def clean_name(name: object) -> str:
    """Returns a name without white space around it.

    Raises:
        ValueError: if it is not text, is empty, or holds a character that is invisible.
    """
    if not isinstance(name, str):
        raise UsageError(f"The name {name!r} is a {type(name).__name__}; give the words of a prompt.")
    if not name.strip():
        raise UsageError(f"A concept's name is empty ({name!r}); give the words that a prompt would use for it.")
    for character in name.strip():
        if unicodedata.category(character) in INVISIBLE and character not in JOINERS:
            raise UsageError(f"The name {name.strip()!a} holds an invisible character, {character!a}; take it out.")
    return " ".join(name.split())


def comparable(name: str) -> str:
    """Returns a name in the form in which equal names are equal: without case, and without an article."""
    return re.sub(r"^(an?|the) (?=.)", "", unicodedata.normalize("NFKC", name).casefold())


def check_different(concepts: Iterable[Concept]) -> None:
    """Raises UsageError if a name or synonym is given twice, whatever its case and article."""
    seen: dict[str, str] = {}
    for word in (word for concept in concepts for word in concept.words):
        other = seen.get(comparable(word))
        if other is not None:
            again = "" if other == word else f", once as {other!r}"
            raise UsageError(
                f"Concept {word!r} is given 2 times{again}; name it once. Several words for one thing are one concept: "
                f'"{other}|another word".'
            )
        seen[comparable(word)] = word


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
        raise UsageError(f"preset {name!r} is not one of {', '.join(PRESETS)}.{did_you_mean(name, PRESETS)}")
    return PRESETS[name]


def paper_agnostic_ratio(concepts: Iterable[Concept]) -> float:
    """Returns the paper's alpha for a set of concepts: 0.8 if all are styles, otherwise 0.6."""
    return 0.8 if all(concept.kind == "style" for concept in concepts) else 0.6


# r2 of concepts that the authors' code does not name. It names four of the paper's, with the paper's r2. It has no kind
# for places, so they get that of objects.
AUTHORS_SPATIAL_RATIOS: dict[Kind, float] = {"object": 0.007, "style": 0.02, "explicit": 0.01, "place": 0.007}


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


_QUOTED = re.compile(r"""(["'])(.*?)\1(?=\s*(?:[:,|]|$))""")


def parse_concepts(text: str) -> list[str | Concept]:
    """Returns the concepts in a text, separated by commas: "church, Van Gogh:style, naked:explicit:0.01".

    A name in quotes may hold commas: "'Paris, Texas'".

    Raises:
        ValueError: see `parse_concept`.
    """
    parts, rest = [], text
    while True:
        rest = rest.lstrip()
        quoted = _QUOTED.match(rest)
        part, comma, rest = _partition(rest, quoted.end() if quoted else 0)
        parts.append(part)
        if not comma:
            return [parse_concept(part) for part in parts]


def _partition(text: str, start: int) -> tuple[str, str, str]:
    """Returns a text in three parts: before the first comma after a position, the comma, and what follows."""
    before, comma, after = text[start:].partition(",")
    return text[:start] + before, comma, after


def parse_concept(text: str) -> str | Concept:
    """Returns the concept for NAME:KIND:RATIO, NAME:KIND or NAME:RATIO. For NAME alone, returns the name.

    The ratio is the concept's own r2. A colon with a space after it is part of the name: "Star Wars: A New Hope" is a
    name. So is any colon in quotes.

    Raises:
        ValueError: if the name is empty or holds a comma without quotes, the kind is unknown, the ratio is outside
            [0, 1], or a quote is left open.
    """
    text = text.strip()
    quoted = _QUOTED.match(text)
    if quoted:
        synonyms, *marks = text[quoted.end() :].strip().split(":")
        name = quoted[2] + synonyms
    elif text.startswith('"'):
        raise UsageError(f"The quote in {text!r} is not closed. Close it before the kind, or leave it out.")
    else:
        name, marks = text, []
        while len(marks) < 2 and (mark := re.fullmatch(r"(.*):(\S*)", name, flags=re.DOTALL)):
            name, marks = mark[1], [mark[2], *marks]
            if _ratio(mark[2]) is None:
                break
    ratio = _ratio(marks[-1]) if marks else None
    kinds = marks if ratio is None else marks[:-1]
    if len(kinds) > 1 or any(kind not in get_args(Kind) for kind in kinds):
        kind = ":".join(kinds)
        raise UsageError(
            f"kind {kind!r} in {text!r} is not one of {', '.join(get_args(Kind))}.{did_you_mean(kind, get_args(Kind))} "
            f'If the colon is part of the name, give the kind too: "{text}:object".'
        )
    if ratio is not None and not 0 <= ratio <= 1:
        raise UsageError(
            f"The ratio in {text!r} is outside [0, 1]. If the colon is part of the name, give the kind too: "
            f'"{text}:object".'
        )
    name = clean_name(name)
    if not quoted and "," in name:
        raise UsageError(f"{text!r} holds a comma. If it is part of the name, give the name in quotes: '\"a, b\"'.")
    if not marks and "," not in name:
        return name
    return Concept(name, kinds[0] if kinds else "object", spatial_ratio=ratio)  # type: ignore[arg-type]


def _ratio(text: str) -> float | None:
    """Returns the number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def as_concepts(concepts: str | Concept | Iterable[str | Concept], mode: Mode = "default") -> list[Concept]:
    """Returns a list of concepts. A name becomes a concept of kind "object".

    In "paper" mode, a concept that the paper forgets gets the paper's kind, and the paper's ratios if it has none. This
    ignores case. In "authors-code" mode it gets the kind and r2 alone, as in the authors' code.

    Args:
        concepts: names or concepts.
        mode: "default", "paper" or "authors-code".

    Raises:
        ValueError: if there is no concept, if one is neither a name nor a `Concept`, if a name is given twice, or if it
            holds a comma.
    """
    items = listed(concepts)
    if mode == "default":
        result = [Concept(item) if isinstance(item, str) else item for item in items]
    else:
        fields = ("spatial_ratio", "temporal_ratio") if mode == "paper" else ("spatial_ratio",)
        result = [_as_in_paper(item, *fields) for item in items]
    if not result:
        raise UsageError("No concept was given; name at least one.")
    check_different(result)
    return result


def listed(concepts: Any) -> list[str | Concept]:
    """Returns names or concepts in a list.

    Raises:
        ValueError: if something is neither, or a name holds a comma, because it is more likely to be several names.
    """
    if isinstance(concepts, str | Concept):
        concepts = [concepts]
    if isinstance(concepts, Mapping | bytes) or not isinstance(concepts, Iterable):
        raise UsageError(
            f"{concepts!r} is a {type(concepts).__name__}; give a list of names or of fia.Concept. Strengths are "
            "given after finding: mask.with_strengths({name: 0.5})."
        )
    result = list(concepts)
    for item in result:
        if not isinstance(item, str | Concept):
            example = "Van Gogh", "style"
            if isinstance(item, tuple | list) and len(item) == 2 and item[1] in get_args(Kind):
                example = item[0], item[1]
            raise UsageError(
                f"{item!r} is a {type(item).__name__}, not a concept; give a name or a fia.Concept, such as "
                f'fia.Concept("{example[0]}", kind="{example[1]}").'
            )
        if isinstance(item, str) and "," in item:
            names = [part.strip() for part in item.split(",")]
            raise UsageError(
                f"The name {item!r} holds a comma. Give a list of names, {names!r}, or, if the comma is part of the "
                f"name, fia.Concept({item!r})."
            )
    return result
