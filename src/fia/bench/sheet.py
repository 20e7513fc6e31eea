"""The contact sheet: every object, person, place and style of the embedded model, and the attribute."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..drawing.figure import Cell, contact_sheet
from ..drawing.images import generate_images
from ..prompts import fill
from ..testbed.captions import STYLE_SUFFIX
from ..testbed.judge import load_judge
from ..testbed.pretrained import Architecture, load_testbed
from ..testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, SMOKING, STYLE_NAMES

COLUMNS = 10


@dataclass(frozen=True)
class Entry:
    """One image of the sheet: its prompt, and what the judge should see in it. None if it does not matter."""

    label: str
    prompt: str
    subject: str | None = None
    place: str | None = None
    style: str = "no style"
    attribute: str = f"not {SMOKING}"


def sheet_entries() -> dict[str, list[Entry]]:
    """Returns the entries by heading: objects (each in two places, ten in each style), persons, smokers and places."""
    sections = {}
    for heading, shift in (("Objects", 0), ("The same objects in other places", 3)):
        places = [PLACE_NAMES[(i + shift) % len(PLACE_NAMES)] for i in range(len(OBJECT_NAMES))]
        sections[heading] = [
            Entry(name, fill("a {object} in a {place}", object=name, place=place), name, place)
            for name, place in zip(OBJECT_NAMES, places, strict=True)
        ]
    for style in STYLE_NAMES:
        prompts = {name: fill("a {object}" + STYLE_SUFFIX, object=name, style=style) for name in IMAGENETTE}
        sections[f"In the style of {style}"] = [Entry(n, prompt, n, style=style) for n, prompt in prompts.items()]
    persons = [Entry(name, fill("a photo of a {person}", person=name), name) for name in PERSON_NAMES]
    for name in PERSON_NAMES:
        label = f"{SMOKING} {name}"
        persons.append(Entry(label, fill("a photo of a {person}", person=label), name, attribute=SMOKING))
    sections["Persons, and persons who smoke"] = persons
    sections["Places"] = [Entry(place, f"a {place}", "none", place) for place in PLACE_NAMES]
    return sections


def draw_sheet(
    weights: Path, architecture: Architecture, *, seed: int, num_inference_steps: int, guidance_scale: float
) -> tuple[Image.Image, int, int]:
    """Generates the sheet; returns it, the number of images that the judge gets completely right, and their number.

    If the judge sees something else, the label is red and says what.
    """
    sections = sheet_entries()
    entries = [entry for section in sections.values() for entry in section]
    images = generate_images(
        load_testbed(weights, architecture),
        [entry.prompt for entry in entries],
        [seed + i for i in range(len(entries))],
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
    )
    seen = load_judge(weights).answer(images)
    answers = zip(*(seen[head] for head in ("subject", "place", "style", "attribute")), strict=True)
    cells = []
    for image, entry, answer in zip(images, entries, answers, strict=True):
        wanted = (entry.subject, entry.place, entry.style, entry.attribute)
        wrong = [said for asked, said in zip(wanted, answer, strict=True) if asked not in (None, said)]
        label = f"{entry.label} ({', '.join(wrong)})" if wrong else entry.label
        cells.append(Cell(image, label, bool(wrong)))
    in_order = iter(cells)
    sheet = contact_sheet({heading: [next(in_order) for _ in own] for heading, own in sections.items()}, COLUMNS)
    return sheet, sum(not cell.is_wrong for cell in cells), len(cells)
