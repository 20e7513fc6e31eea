"""The captions of scenes. They say what an image shows, in a few English templates."""

from collections.abc import Sequence

import torch

from ..prompts import fill
from .world import NO_STYLE, NO_SUBJECT, PERSON_NAMES, PLACE_NAMES, STYLE_NAMES, SUBJECTS

SUBJECT_TEMPLATES = (
    "a {subject} in a {place}",
    "a {subject} in the {place}",
    "a {subject} near a {place}",
    "a {subject} near the {place}",
    "a {subject} on a {place}",
    "a photo of a {subject} in a {place}",
)
PLACE_TEMPLATES = ("a {place}", "the {place}", "a photo of a {place}", "an empty {place}")
ALONE_TEMPLATES = ("a {subject}", "a photo of a {subject}")
STYLE_SUFFIX = " in the style of {style}"
SMOKING = "smoking"  # the attribute; a caption has it before a person's name


def kind_of(name: str) -> str:
    """Returns the kind of a concept of this name in the embedded model's world."""
    return "style" if name in STYLE_NAMES else "explicit" if name == SMOKING else "object"


def draw_captions(
    subjects: Sequence[int],
    places: Sequence[int],
    styles: Sequence[int],
    smoking: Sequence[bool],
    generator: torch.Generator,
) -> list[str]:
    """Returns a random caption for each scene.

    One in five captions names the subject without its place. If an object has synonyms, one in seven uses a synonym.
    """
    template, synonym, alone = torch.rand(3, len(subjects), generator=generator).tolist()
    captions = []
    for i, (subject, place, style, smokes) in enumerate(zip(subjects, places, styles, smoking, strict=True)):
        if subject == NO_SUBJECT:
            templates: tuple[str, ...] = PLACE_TEMPLATES
            name = ""
        else:
            templates = ALONE_TEMPLATES if alone[i] < 0.2 else SUBJECT_TEMPLATES
            names = SUBJECTS[subject].synonyms if synonym[i] < 0.15 else ()
            name = names[int(synonym[i] / 0.15 * len(names))] if names else SUBJECTS[subject].name
            name = f"{SMOKING} {name}" if smokes else name
        chosen = templates[int(template[i] * len(templates))] + (STYLE_SUFFIX if style != NO_STYLE else "")
        words = {"subject": name, "place": PLACE_NAMES[place], "style": (*STYLE_NAMES, "")[style]}
        captions.append(fill(chosen, **words))
    return captions


def all_captions() -> list[str]:
    """Returns all captions without a style, and one for each place in each style, sorted. The tokenizer learns them."""
    names = [name for subject in SUBJECTS for name in (subject.name, *subject.synonyms)]
    names += [f"{SMOKING} {name}" for name in PERSON_NAMES]
    captions = {fill(template, place=place) for template in PLACE_TEMPLATES for place in PLACE_NAMES}
    captions |= {fill(template, subject=name) for template in ALONE_TEMPLATES for name in names}
    captions |= {fill(t, subject=n, place=p) for t in SUBJECT_TEMPLATES for n in names for p in PLACE_NAMES}
    captions |= {f"a {place}{STYLE_SUFFIX.format(style=style)}" for place in PLACE_NAMES for style in STYLE_NAMES}
    return sorted(captions)
