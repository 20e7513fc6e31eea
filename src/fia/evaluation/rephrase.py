"""Other ways to ask for a concept. Does it stay forgotten if the prompt is reworded?

No mask is found with these prompts. Synonyms and translations come from `prompt_sets/rephrasings.json`, for its
names. Rules make the other prompts.
"""

import json
from functools import cache
from importlib.resources import files

from ..prompts import fill

TEMPLATES = (
    "{concept}",
    "an oil painting of a {concept}",
    "my old {concept}, close up",
    "a snapshot with a {concept} in the middle of it",
)
ASKED = "a photo of a {concept}"  # the prompt for every other word


def rephrasings(name: str) -> list[tuple[str, str]]:
    """Returns (variant, prompt) pairs: other templates, the plural, a misspelling, synonyms and translations.

    Args:
        name: name of an object, as in a prompt.
    """
    prompts = [("other template", fill(template, concept=name)) for template in TEMPLATES]
    for variant, word in other_words(name):
        prompts.append((variant, f"a photo of two {word}" if variant == "plural" else fill(ASKED, concept=word)))
    return prompts


def other_words(name: str) -> list[tuple[str, str]]:
    """Returns (variant, word) pairs: the plural, a misspelling, synonyms and translations of a name."""
    words = [("plural", plural(name)), ("misspelled", misspelled(name))]
    return words + [(variant, word) for variant, own in _known().get(name, {}).items() for word in own]


def plural(name: str) -> str:
    """Returns the plural, by the usual rules of English."""
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def misspelled(name: str) -> str:
    """Returns the name with the two middle letters of its longest word swapped."""
    words = name.split(" ")
    longest = max(range(len(words)), key=lambda i: len(words[i]))
    word = words[longest]
    for middle in sorted(range(len(word) - 1), key=lambda i: abs(i - (len(word) - 2) / 2)):
        if word[middle] != word[middle + 1]:
            words[longest] = word[:middle] + word[middle + 1] + word[middle] + word[middle + 2 :]
            break
    return " ".join(words)


@cache
def _known() -> dict[str, dict[str, list[str]]]:
    text = files(__package__).joinpath("prompt_sets/rephrasings.json").read_text("utf-8")
    names: dict[str, dict[str, list[str]]] = json.loads(text)["names"]
    return names
