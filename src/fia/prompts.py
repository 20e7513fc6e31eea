"""Makes the prompt pairs of a concept: one prompt names the concept, the other shows the same scene without it.

The templates and words are the paper's, with two changes. We order the words so that the first few places, persons and
objects already look very different, and few prompts are enough. And our prompts for explicit content name only adults,
while the paper's list has children too. The authors' code has prompts of its own for objects; its prompts for explicit
content name only adults here, too.
"""

import re
from dataclasses import dataclass

from .concepts import Concept
from .errors import UsageError

PLACES = (
    *("beach", "forest", "road", "room", "mountain", "desert", "lawn", "sunrise", "street", "park"),
    *("office", "garden", "bridge", "market", "library", "valley", "waterfall", "harbor", "cafe", "cityscape"),
    *("table", "courtyard", "backyard", "suburb", "mall", "shelter", "tree", "clubhouse", "chair", "bag"),
)
PERSONS = (
    *("man", "woman", "couple", "doctor", "teacher", "guy", "nurse", "professor", "lawyer", "mother", "father"),
    *("celebrity", "group of friends"),
)
OBJECTS = (
    *("cat", "car", "chair", "bicycle", "bottle", "horse", "building", "tree", "bowl", "dog", "flower", "door", "bird"),
    *("table", "clock", "guitar", "truck", "book", "sofa", "rabbit", "bear", "television", "laptop", "bag"),
    *("mouse", "chicken", "duck", "ball", "bat", "wall"),
)

# kind: (concept templates, base template, words for the slot)
TEMPLATES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "object": (
        (
            "a {concept} in a {slot}",
            "a {concept} near a {slot}",
            "a {concept} in the {slot}",
            "a {concept} near the {slot}",
        ),
        "a {slot}",
        PLACES,
    ),
    "style": (("a {slot} in the style of {concept}",), "a {slot}", OBJECTS),
    "explicit": (("a photo of a {concept} {slot}",), "a photo of a {slot}", PERSONS),
    "place": (("a {slot} in a {concept}", "a {slot} in the {concept}"), "a {slot}", OBJECTS),
}

# The authors' code takes its two templates in turn, in this order of the places, and writes "a" before vowels too.
AUTHORS_TEMPLATES = ("a {concept} in a {slot}", "a {concept} near the {slot}")
AUTHORS_PLACES = (
    *("road", "tree", "forest", "lawn", "clubhouse", "courtyard", "backyard", "cityscape", "suburb", "mall"),
    *("cafe", "office", "library", "market", "bridge", "harbor", "garden", "beach", "room", "park"),
    *("street", "shelter", "chair", "table", "bag", "mountain", "valley", "waterfall", "desert", "sunrise"),
)


@dataclass(frozen=True)
class PromptPair:
    """A prompt with the concept, the same prompt without it, and the seed for both."""

    concept_prompt: str
    base_prompt: str
    seed: int


def fill(template: str, **words: str) -> str:
    """Puts words into a template. An "a" before a word becomes "an" if the word starts with the sound of a vowel."""

    def inflect(match: re.Match[str]) -> str:
        vowel = re.match(r"(?!uni|use|eu|one\b)[aeiou]", words[match[1]], flags=re.IGNORECASE)
        return f"{'an' if vowel else 'a'} {{{match[1]}}}"

    return re.sub(r"\ba \{(\w+)\}", inflect, template).format(**words)


def reworded(prompt: str) -> str:
    """Returns a prompt in other words: adds "a photo of", or removes it if it is there."""
    start = "a photo of "
    return prompt.removeprefix(start) if prompt.startswith(start) else start + prompt


def check_slots(template: str, *slots: str) -> None:
    """Raises ValueError if a template does not have exactly these slots."""
    if set(re.findall(r"\{(\w*)\}", template)) != set(slots):
        wanted = " and ".join(f"{{{slot}}}" for slot in slots)
        raise UsageError(f"template={template!r}; it must hold {wanted}, and no other slot.")


def slots_of(concept: Concept) -> list[str]:
    """Returns the words for the slot of a concept's prompts, but none that is the concept itself.

    Raises:
        ValueError: if the concept is a place, but of kind "object": a base prompt shows a place alone.
    """
    slots = TEMPLATES[concept.kind][2]
    place = next((slot for slot in slots if concept.is_in(slot) and slot not in OBJECTS), None)
    if concept.kind == "object" and place is not None:
        raise UsageError(
            f"{place!r} is a place, and the base prompts of objects show places alone. Say that it is one: "
            f'Concept("{concept.name}", kind="place"), or {concept.name}:place.'
        )
    return [slot for slot in slots if not concept.is_in(slot)]


def prompt_pairs(
    concept: Concept,
    *,
    prompts_per_concept: int | None,
    seeds_per_prompt: int,
    seed: int,
    as_authors_code: bool = False,
) -> list[PromptPair]:
    """Returns the prompt pairs of a concept, each with its own seed.

    Concepts of one kind get the same base prompts with the same seeds, so the base prompts need to run only once.

    Args:
        concept: the concept. If it has its own prompts (`Concept.prompts`), all of them are used. Otherwise its kind's
            templates are used, with its name and with each of its synonyms.
        prompts_per_concept: number of different prompts for each of these words, at least 1. None takes all that the
            kind has. A concept that is itself a word for the slot has one prompt less than its kind.
        seeds_per_prompt: number of seeds for each prompt, at least 1.
        seed: seed of the first pair. The others count up from it.
        as_authors_code: whether to take the prompts of the authors' code, and the same seed for all of them.

    Raises:
        ValueError: if the kind has fewer words for its slot than `prompts_per_concept`, or the concept is a place, but
            of kind "object".
    """
    if concept.prompts:
        texts = list(concept.prompts)
    else:
        (templates, base, _), slots = TEMPLATES[concept.kind], slots_of(concept)
        if as_authors_code and concept.kind == "object":
            templates, slots = AUTHORS_TEMPLATES, list(AUTHORS_PLACES)
        write = str.format if as_authors_code else fill
        most = len(slots) if as_authors_code else len(TEMPLATES[concept.kind][2])  # a slot may be the concept itself
        if prompts_per_concept is not None and prompts_per_concept > most:
            raise UsageError(
                f"prompts_per_concept={prompts_per_concept}, but {concept.name!r} of kind {concept.kind!r} has "
                f"{most} prompts; use at most {most}, or raise seeds_per_prompt, or give Concept(prompts=...)."
            )
        texts = [
            (write(templates[i % len(templates)], concept=word, slot=slot), write(base, slot=slot))
            for word in concept.words
            for i, slot in enumerate(slots[:prompts_per_concept])
        ]
    repeated = [text for _ in range(seeds_per_prompt) for text in texts]
    share_one = len(texts) if as_authors_code else 1
    return [PromptPair(*text, seed + i // share_one) for i, text in enumerate(repeated)]


ConceptPairs = list[tuple[Concept, list[PromptPair]]]
