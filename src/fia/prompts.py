"""From a concept to its pairs of prompts: one that names the concept, one for the same scene without it.

The wording and the words are the paper's, with two departures. The order is ours: the first few places, persons and
objects already look very different from each other, so that few prompts suffice. And prompts for explicit content name
adults only, where the paper's list has children too.
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

# kind -> (concept templates, base template, words for the slot)
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
}


@dataclass(frozen=True)
class PromptPair:
    """A prompt with the concept, the same without it, and the seed that both start from."""

    concept_prompt: str
    base_prompt: str
    seed: int


def fill(template: str, **words: str) -> str:
    """Puts words into a template; the "a" before one becomes "an" where the word is spoken with a vowel."""

    def inflect(match: re.Match[str]) -> str:
        vowel = re.match(r"(?!uni|use|eu|one\b)[aeiou]", words[match[1]], flags=re.IGNORECASE)
        return f"{'an' if vowel else 'a'} {{{match[1]}}}"

    return re.sub(r"\ba \{(\w+)\}", inflect, template).format(**words)


def check_slots(template: str, *slots: str) -> None:
    """Raises ValueError unless a template has exactly these slots."""
    if set(re.findall(r"\{(\w*)\}", template)) != set(slots):
        wanted = " and ".join(f"{{{slot}}}" for slot in slots)
        raise UsageError(f"template={template!r}; it must hold {wanted}, and no other slot.")


def prompt_pairs(concept: Concept, *, prompts_per_concept: int, seeds_per_prompt: int, seed: int) -> list[PromptPair]:
    """Returns the prompt pairs of a concept, every pair with its own seed.

    Concepts of one kind get the same base prompts with the same seeds, so that these need to be run only once.

    Args:
        concept: with prompts of its own (`Concept.prompts`), all of those are used; otherwise its kind's templates.
        prompts_per_concept: number of different prompts, at least 1.
        seeds_per_prompt: number of seeds each prompt is run with, at least 1.
        seed: of the first pair; the others count up from it.

    Raises:
        ValueError: if the kind has fewer words for its slot than `prompts_per_concept`.
    """
    if concept.prompts:
        texts = list(concept.prompts)
    else:
        templates, base, slots = TEMPLATES[concept.kind]
        if prompts_per_concept > len(slots):
            raise UsageError(
                f"prompts_per_concept={prompts_per_concept}, but kind {concept.kind!r} has {len(slots)} prompts; "
                f"use at most {len(slots)}, or raise seeds_per_prompt, or give Concept(prompts=...)."
            )
        texts = [
            (fill(templates[i % len(templates)], concept=concept.name, slot=slot), fill(base, slot=slot))
            for i, slot in enumerate(slots[:prompts_per_concept])
        ]
    repeated = [text for _ in range(seeds_per_prompt) for text in texts]
    return [PromptPair(*text, seed + i) for i, text in enumerate(repeated)]


ConceptPairs = list[tuple[Concept, list[PromptPair]]]
