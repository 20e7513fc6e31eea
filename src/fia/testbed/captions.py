"""The captions of scenes. They say what an image shows, in a few English templates."""

from collections.abc import Iterator, Sequence

import torch

from ..prompts import fill
from .catalogue import Catalogue, Glyph
from .world import SMALL, SMOKING, STYLE_NAMES

STYLE_SUFFIX = " in the style of {style}"


def kind_of(name: str) -> str:
    """Returns the kind of a concept of this name in the embedded model's world."""
    return "style" if name in STYLE_NAMES else "explicit" if name == SMOKING else "object"


def draw_captions(
    catalogue: Catalogue,
    subjects: Sequence[int],
    places: Sequence[int],
    styles: Sequence[int],
    attributes: Sequence[int],
    generator: torch.Generator,
    seconds: Sequence[int] | None = None,
) -> list[str]:
    """Returns a random caption for each scene.

    One in five captions names the subject without its place. If an object has synonyms, one in seven uses a synonym.

    Args:
        catalogue: the names.
        subjects: the first subject of each scene, or `catalogue.no_subject`.
        places: the place of each scene.
        styles: the style of each scene, or `catalogue.no_style`.
        attributes: the attribute of each scene's person, counted from 1; 0 is none.
        generator: decides everything.
        seconds: the second subject of each scene, or `catalogue.no_subject`. None means that no scene has one.
    """
    template, synonym, alone = torch.rand(3, len(subjects), generator=generator).tolist()
    other = torch.rand(len(subjects), generator=generator).tolist() if seconds is not None else synonym
    captions = []
    for i, (subject, place, style, attribute) in enumerate(zip(subjects, places, styles, attributes, strict=True)):
        second = catalogue.no_subject if seconds is None else seconds[i]
        words = {"place": catalogue.place_names[place], "style": (*catalogue.style_names, "")[style]}
        if subject == catalogue.no_subject:
            templates = catalogue.templates.place
        else:
            templates = catalogue.templates.alone if alone[i] < 0.2 else catalogue.templates.subject
            words["subject"] = _phrase(catalogue, catalogue.subjects[subject], attribute, synonym[i])
        if second != catalogue.no_subject:
            templates = catalogue.templates.two
            words["second"] = _phrase(catalogue, catalogue.subjects[second], 0, other[i])
        chosen = templates[int(template[i] * len(templates))] + (STYLE_SUFFIX if style != catalogue.no_style else "")
        captions.append(fill(chosen, **words))
    return captions


def _phrase(catalogue: Catalogue, subject: Glyph, attribute: int, chance: float) -> str:
    """Returns a subject as a caption has it; a synonym if `chance` is below 0.15."""
    names = subject.synonyms if chance < 0.15 else ()
    name = names[int(chance / 0.15 * len(names))] if names else subject.name
    return subject.phrase(f"{catalogue.attributes[attribute - 1].name} {name}" if attribute else name)


def all_captions(catalogue: Catalogue = SMALL) -> list[str]:
    """Returns all captions without a style, and one for each place in each style, sorted. The tokenizer learns them.

    Of the captions with two subjects, it returns those with the same subject twice.
    """
    templates, places = catalogue.templates, catalogue.place_names
    phrases = list(_all_phrases(catalogue))
    captions = {fill(template, place=place) for template in templates.place for place in places}
    captions |= {fill(template, subject=phrase) for template in templates.alone for phrase in phrases}
    captions |= {fill(t, subject=n, place=p) for t in templates.subject for n in phrases for p in places}
    captions |= {fill(t, subject=n, second=n, place=p) for t in templates.two for n in phrases for p in places}
    captions |= {
        fill("a {place}" + STYLE_SUFFIX, place=place, style=style) for place in places for style in catalogue.styles
    }
    return sorted(captions)


def _all_phrases(catalogue: Catalogue) -> Iterator[str]:
    for subject in catalogue.subjects:
        yield from map(subject.phrase, subject.names)
    for attribute in catalogue.attributes:
        for person in catalogue.persons:
            yield person.phrase(f"{attribute.name} {person.name}")
