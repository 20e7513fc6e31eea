"""Words for things that a model should go on drawing although nobody names them, by category, the most common first.

We wrote the list ourselves.
"""

from diffusers import DiffusionPipeline
from transformers import PreTrainedTokenizerBase

THINGS = """
dog car tree house bird flower boat bridge train table
chair book clock lamp bottle cup hat shoe ball bicycle
horse cat fish cow sheep elephant lion tiger bear zebra
rabbit duck chicken frog snake spider butterfly bee whale shark
airplane bus truck ship motorcycle helicopter tractor rocket balloon wagon
guitar piano drum violin trumpet bell flute harp radio television
computer phone camera keyboard robot laptop printer microscope telescope battery
apple banana orange strawberry grape lemon pineapple cherry tomato carrot
bread cheese pizza cake sandwich egg soup salad coffee tea
knife fork spoon plate bowl mug pan kettle basket bucket
bed sofa desk mirror curtain carpet pillow blanket door window
umbrella backpack suitcase wallet watch ring necklace crown mask glove
jacket shirt dress skirt sock boot scarf coat tie belt
hammer saw wrench ladder rope chain nail axe shovel broom
candle lantern torch vase statue painting poster flag map globe
sword shield cannon helmet armor bow arrow anchor wheel key
rose tulip sunflower cactus fern mushroom leaf grass pumpkin corn
moon sun star cloud rainbow lightning snow rain fire smoke
dragon unicorn ghost skeleton angel mermaid wizard witch vampire giant
tent fence gate fountain bench swing slide kite puzzle doll
parachute tower windmill lighthouse castle temple church barn cabin igloo
monkey giraffe kangaroo penguin owl eagle parrot swan turtle crocodile
camel goat pig donkey deer fox wolf squirrel mouse bat
"""

PERSONS = """
man woman child boy girl baby grandmother grandfather worker doctor
nurse teacher farmer soldier police chef dancer singer painter student
king queen knight pirate astronaut clown athlete fisherman firefighter judge
bride monk sailor hunter baker pilot actor musician princess cowboy
"""

PLACES = """
beach forest mountain desert road room lawn lake river street
garden park city village kitchen office library market station harbor
island valley waterfall cave jungle swamp meadow field farm vineyard
school hospital museum theater stadium airport factory restaurant hotel prison
canyon volcano glacier ocean cliff hill pond canal tunnel plaza
"""

STYLES = """
Rembrandt Picasso Monet Michelangelo Vermeer Cezanne Matisse Klimt Hokusai Caravaggio
Goya Turner Degas Renoir Kandinsky Warhol Raphael Botticelli Titian Rubens
impressionism cubism baroque watercolor anime pixel sketch mosaic graffiti origami
"""

LISTS = {"things": THINGS, "persons": PERSONS, "places": PLACES, "styles": STYLES}
CATEGORIES = {category: words.split() for category, words in LISTS.items()}


def in_turn() -> list[tuple[str, str]]:
    """Returns every word with its category. Any first part of the list has about the same share of each category."""
    placed = [
        ((i + 0.5) / len(words), word, category)
        for category, words in CATEGORIES.items()
        for i, word in enumerate(words)
    ]
    return [(word, category) for _, word, category in sorted(placed)]


def usable_words(pipe: DiffusionPipeline, number: int) -> list[tuple[str, str]]:
    """Returns the first words of the list that a pipeline's tokenizer reads as one token, each with its category."""
    tokenizer = next((part for part in pipe.components.values() if isinstance(part, PreTrainedTokenizerBase)), None)
    words = in_turn()
    if tokenizer is not None:
        words = [pair for pair in words if min(len(tokenizer.tokenize(text)) for text in (pair[0], f" {pair[0]}")) == 1]
    return words[:number]
