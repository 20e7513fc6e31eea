"""The names of all that the embedded model knows: objects, persons who may smoke, places, and artists' styles.

The first ten objects have the names of Imagenette's classes. If there is no emoji for a class, we use the nearest one.
A subject is what can stand in a place: an object or a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..concepts import Concept
from ..errors import UsageError
from .places import PLACES
from .styles import STYLES


@dataclass(frozen=True)
class Glyph:
    """A name in captions, the emoji for it, and synonyms."""

    name: str
    character: str
    synonyms: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        return self.name.lower().replace(" ", "_") + ".png"


OBJECTS = (
    Glyph("parachute", "🪂"),
    Glyph("golf ball", "⛳", ("golf flag",)),
    Glyph("garbage truck", "🚛", ("truck",)),
    Glyph("cassette player", "📻", ("radio",)),
    Glyph("church", "⛪", ("chapel",)),
    Glyph("tench", "🐟", ("fish",)),
    Glyph("English springer", "🐕", ("dog",)),
    Glyph("French horn", "📯", ("horn",)),
    Glyph("chain saw", "🪚", ("saw",)),
    Glyph("gas pump", "⛽", ("fuel pump",)),
    Glyph("cat", "🐈"),
    Glyph("elephant", "🐘"),
    Glyph("zebra", "🦓"),
    Glyph("horse", "🐎"),
    Glyph("duck", "🦆"),
    Glyph("car", "🚗"),
    Glyph("bicycle", "🚲"),
    Glyph("bus", "🚌"),
    Glyph("airplane", "✈️"),
    Glyph("ship", "🚢"),
    Glyph("mug", "☕"),
    Glyph("chair", "🪑"),
    Glyph("television", "📺"),
    Glyph("bottle", "🍾"),
    Glyph("umbrella", "☂️"),
    Glyph("backpack", "🎒"),
    Glyph("suitcase", "🧳"),
    Glyph("pizza", "🍕"),
    Glyph("banana", "🍌"),
    Glyph("strawberry", "🍓"),
)
PERSONS = (Glyph("man", "👨"), Glyph("woman", "👩"), Glyph("grandmother", "👵"), Glyph("worker", "👷"))
CIGARETTE = Glyph("cigarette", "🚬")

SUBJECTS = OBJECTS + PERSONS
OBJECT_NAMES = tuple(thing.name for thing in OBJECTS)
PERSON_NAMES = tuple(person.name for person in PERSONS)
IMAGENETTE = OBJECT_NAMES[:10]
PLACE_NAMES = tuple(PLACES)
STYLE_NAMES = tuple(STYLES)
KNOWN_NAMES = (
    *(name for subject in SUBJECTS for name in (subject.name, *subject.synonyms)),
    *("smoking", *PLACE_NAMES, *STYLE_NAMES),
)

NO_SUBJECT = len(SUBJECTS)  # the index for a place without a subject
NO_STYLE = len(STYLES)  # the index for an image without a style


def check_known(concepts: Sequence[Concept], known: Sequence[str]) -> None:
    """Raises ValueError if the embedded model does not know a concept."""
    for concept in concepts:
        if concept.name not in known:
            raise UsageError(
                f"The embedded model does not know {concept.name!r}. Name one of these: {', '.join(known)}."
            )
