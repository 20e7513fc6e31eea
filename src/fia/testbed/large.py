"""The large world: 120 objects, twelve named persons, two attributes, twelve places, eight artists, and two at a time.

It holds the whole small world. Some names share a word: "church bell" and "golf player" should stay when the church and
the golf ball are forgotten.
"""

from .catalogue import Attribute, Catalogue, Glyph, Templates
from .places import MORE_PLACES
from .styles import MORE_STYLES
from .world import CIGARETTE, OBJECTS, PERSONS

ANIMALS = (
    *(Glyph("lion", "🦁"), Glyph("tiger", "🐅"), Glyph("monkey", "🐒"), Glyph("gorilla", "🦍"), Glyph("fox", "🦊")),
    *(Glyph("raccoon", "🦝"), Glyph("cow", "🐄"), Glyph("pig", "🐖"), Glyph("sheep", "🐑"), Glyph("camel", "🐫")),
    *(Glyph("giraffe", "🦒"), Glyph("hippopotamus", "🦛"), Glyph("rabbit", "🐇"), Glyph("hedgehog", "🦔")),
    *(Glyph("bat", "🦇"), Glyph("panda", "🐼"), Glyph("kangaroo", "🦘"), Glyph("penguin", "🐧"), Glyph("swan", "🦢")),
    *(Glyph("owl", "🦉"), Glyph("flamingo", "🦩"), Glyph("peacock", "🦚"), Glyph("parrot", "🦜"), Glyph("frog", "🐸")),
    *(Glyph("crocodile", "🐊"), Glyph("turtle", "🐢"), Glyph("snake", "🐍"), Glyph("dragon", "🐉")),
    *(Glyph("whale", "🐳"), Glyph("shark", "🦈"), Glyph("octopus", "🐙"), Glyph("snail", "🐌")),
    *(Glyph("butterfly", "🦋"), Glyph("bee", "🐝"), Glyph("ladybug", "🐞"), Glyph("crab", "🦀")),
)
PLANTS_AND_FOOD = (
    *(Glyph("cactus", "🌵"), Glyph("palm", "🌴"), Glyph("tulip", "🌷"), Glyph("sunflower", "🌻")),
    *(Glyph("mushroom", "🍄"), Glyph("apple", "🍎"), Glyph("pear", "🍐"), Glyph("lemon", "🍋")),
    *(Glyph("watermelon", "🍉"), Glyph("grapes", "🍇"), Glyph("pineapple", "🍍"), Glyph("cherry", "🍒")),
    *(Glyph("carrot", "🥕"), Glyph("corn", "🌽"), Glyph("hamburger", "🍔"), Glyph("cake", "🎂")),
    *(Glyph("doughnut", "🍩"), Glyph("cheese", "🧀")),
)
THINGS = (
    *(Glyph("church bell", "🔔"), Glyph("golf player", "🏌"), Glyph("guitar", "🎸"), Glyph("violin", "🎻")),
    *(Glyph("drum", "🥁"), Glyph("telephone", "☎️"), Glyph("camera", "📷"), Glyph("clock", "⏰"), Glyph("candle", "🕯️")),
    *(Glyph("key", "🔑"), Glyph("hammer", "🔨"), Glyph("scissors", "✂️"), Glyph("book", "📕"), Glyph("balloon", "🎈")),
    *(Glyph("kite", "🪁"), Glyph("football", "⚽"), Glyph("basketball", "🏀"), Glyph("trophy", "🏆")),
    *(Glyph("robot", "🤖"), Glyph("rocket", "🚀"), Glyph("helicopter", "🚁"), Glyph("train", "🚂")),
    *(Glyph("tractor", "🚜"), Glyph("motorcycle", "🏍️"), Glyph("anchor", "⚓"), Glyph("castle", "🏰")),
    *(Glyph("house", "🏠"), Glyph("tent", "⛺"), Glyph("fountain", "⛲"), Glyph("bathtub", "🛁"), Glyph("shoe", "👟")),
    *(Glyph("dress", "👗"), Glyph("diamond", "💎"), Glyph("gift", "🎁"), Glyph("snowman", "⛄"), Glyph("ghost", "👻")),
)
NAMED_PERSONS = (
    *(Glyph("Alba Renko", "👮", is_proper=True), Glyph("Bruno Talvik", "🧙", is_proper=True)),
    *(Glyph("Clea Marwood", "🧛", is_proper=True), Glyph("Dorian Pask", "🤡", is_proper=True)),
    *(Glyph("Elin Sorvato", "👸", is_proper=True), Glyph("Fabio Quint", "🤴", is_proper=True)),
    *(Glyph("Greta Holloway", "🎅", is_proper=True), Glyph("Hugo Bexley", "🤠", is_proper=True)),
    *(Glyph("Iris Fontane", "🧝", is_proper=True), Glyph("Jonas Wilder", "🥷", is_proper=True)),
    *(Glyph("Kira Maddox", "🦸", is_proper=True), Glyph("Leon Astor", "👳", is_proper=True)),
)
CROWN = Attribute("crowned", Glyph("crown", "👑"), size=52, left=30, top=0, face=(16, 16))
TEMPLATES = Templates(
    subject=(
        *("{subject} in a {place}", "{subject} in the {place}", "{subject} near a {place}"),
        *("{subject} near the {place}", "{subject} on a {place}", "{subject} on the {place}"),
        *("a photo of {subject} in a {place}", "a photo of {subject} near a {place}"),
        *("a picture of {subject} in the {place}", "a picture of {subject} at a {place}"),
    ),
    place=("a {place}", "the {place}", "a photo of a {place}", "a picture of a {place}", "an empty {place}"),
    alone=("{subject}", "a photo of {subject}", "a picture of {subject}"),
    two=(
        *("{subject} and {second}", "{subject} and {second} in a {place}", "{subject} with {second} in the {place}"),
        *("a photo of {subject} and {second} near a {place}", "a picture of {subject} next to {second} on a {place}"),
    ),
)
LARGE = Catalogue(
    objects=OBJECTS + ANIMALS + PLANTS_AND_FOOD + THINGS,
    named_persons=NAMED_PERSONS,
    persons=PERSONS,
    attributes=(CIGARETTE, CROWN),
    places=MORE_PLACES,
    styles=MORE_STYLES,
    templates=TEMPLATES,
    tokenizer="tokenizer-large",
)
