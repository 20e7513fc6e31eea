"""The names of all that the embedded model knows: objects, persons who may smoke, places, and artists' styles.

The first ten objects have the names of Imagenette's classes. If there is no emoji for a class, we use the nearest one.
"""

from collections.abc import Sequence

from ..concepts import Concept
from ..errors import UsageError
from .catalogue import Attribute, Catalogue, Glyph, Templates
from .places import PLACES
from .styles import STYLES

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
SMOKING = "smoking"
CIGARETTE = Attribute(SMOKING, Glyph("cigarette", "🚬"), size=56, left=0, top=32, face=(16, 16))
TEMPLATES = Templates(
    subject=(
        *("{subject} in a {place}", "{subject} in the {place}", "{subject} near a {place}"),
        *("{subject} near the {place}", "{subject} on a {place}", "a photo of {subject} in a {place}"),
    ),
    place=("a {place}", "the {place}", "a photo of a {place}", "an empty {place}"),
    alone=("{subject}", "a photo of {subject}"),
)
SMALL = Catalogue(OBJECTS, PERSONS, (CIGARETTE,), PLACES, STYLES, TEMPLATES, tokenizer="tokenizer")

SUBJECTS = SMALL.subjects
OBJECT_NAMES = tuple(thing.name for thing in OBJECTS)
PERSON_NAMES = tuple(person.name for person in PERSONS)
IMAGENETTE = OBJECT_NAMES[:10]
PLACE_NAMES = SMALL.place_names
STYLE_NAMES = SMALL.style_names
NO_SUBJECT = SMALL.no_subject
NO_STYLE = SMALL.no_style


def check_known(concepts: Sequence[Concept], known: Sequence[str]) -> None:
    """Raises ValueError if the embedded model does not know a concept."""
    for concept in concepts:
        if concept.name not in known:
            raise UsageError(
                f"The embedded model does not know {concept.name!r}. Name one of these: {', '.join(known)}."
            )
