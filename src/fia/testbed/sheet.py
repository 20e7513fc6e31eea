"""The contact sheet: every object, person, place and style of the embedded model, and its attribute."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..evaluation import generate_images
from ..evaluation.figure import contact_sheet
from ..prompts import fill
from .captions import SMOKING, STYLE_SUFFIX
from .judge import judge
from .pretrained import Architecture, load_classifier, load_testbed
from .world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, STYLE_NAMES

COLUMNS = 10


@dataclass(frozen=True)
class Entry:
    """One picture of the sheet: its prompt, and what the judge should see in it where that is asked."""

    label: str
    prompt: str
    subject: str | None = None
    place: str | None = None
    style: str = "no style"
    attribute: str = f"not {SMOKING}"


def sheet_entries() -> list[Entry]:
    """Returns objects, ten of them in each style, persons, persons who smoke, and places."""
    entries = []
    for i, name in enumerate(OBJECT_NAMES):
        place = PLACE_NAMES[i % len(PLACE_NAMES)]
        entries.append(Entry(name, fill("a {object} in a {place}", object=name, place=place), name, place))
    for style in STYLE_NAMES:
        for name in IMAGENETTE:
            prompt = fill("a {object}" + STYLE_SUFFIX, object=name, style=style)
            entries.append(Entry(f"{name}, {style}", prompt, name, style=style))
    for name in PERSON_NAMES:
        entries.append(Entry(name, fill("a photo of a {person}", person=name), name))
    for name in PERSON_NAMES:
        label = f"{SMOKING} {name}"
        entries.append(Entry(label, fill("a photo of a {person}", person=label), name, attribute=SMOKING))
    for place in PLACE_NAMES:
        entries.append(Entry(place, f"a {place}", "none", place))
    return entries


def draw_sheet(
    weights: Path, architecture: Architecture, *, seed: int, num_inference_steps: int, guidance_scale: float
) -> tuple[Image.Image, int, int]:
    """Returns the sheet, how many of its pictures the judge names right in all it is asked, and how many there are.

    Where the judge sees something else, its answer stands in brackets.
    """
    entries = sheet_entries()
    images = generate_images(
        load_testbed(weights, architecture),
        [entry.prompt for entry in entries],
        [seed + i for i in range(len(entries))],
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
    )
    seen = judge(load_classifier(weights), images)
    answers = zip(seen.subjects, seen.places, seen.styles, seen.attributes, strict=True)
    labels, right = [], 0
    for entry, answer in zip(entries, answers, strict=True):
        wanted = (entry.subject, entry.place, entry.style, entry.attribute)
        wrong = [said for asked, said in zip(wanted, answer, strict=True) if asked not in (None, said)]
        labels.append(f"{entry.label} ({', '.join(wrong)})" if wrong else entry.label)
        right += not wrong
    return contact_sheet(images, labels, COLUMNS), right, len(entries)
