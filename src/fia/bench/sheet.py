"""The contact sheet: every object, person, place and style of the embedded model, and the attribute."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..drawing.figure import Cell, contact_sheet
from ..drawing.images import generate_images
from ..prompts import fill
from ..testbed.captions import STYLE_SUFFIX
from ..testbed.catalogue import Catalogue
from ..testbed.classifier import NOTHING, heads_of
from ..testbed.judge import load_judge
from ..testbed.pretrained import Architecture, catalogue_of, load_testbed
from ..testbed.world import IMAGENETTE, SMALL

COLUMNS = 10


@dataclass(frozen=True)
class Entry:
    """One image of the sheet: its prompt, and what the judge should see in it, by head. What is missing is open."""

    label: str
    prompt: str
    seen: dict[str, str]


def sheet_entries(catalogue: Catalogue = SMALL) -> dict[str, list[Entry]]:
    """Returns the entries by heading.

    They show each object in two places, ten of them in each style, each person and each attribute, each place, and some
    pairs if the catalogue has any.
    """
    heads, names, places = heads_of(catalogue), catalogue.subject_names, catalogue.place_names
    phrases = {subject.name: subject.phrase(subject.name) for subject in catalogue.subjects}
    plain = {"style": heads["style"][-1], "attribute": heads["attribute"][0]}
    sections = {}
    for heading, shift in (("Objects", 0), ("The same objects in other places", 3)):
        sections[heading] = [
            Entry(thing.name, fill("{object} in a {place}", object=phrases[thing.name], place=place), plain | seen)
            for i, thing in enumerate(catalogue.objects)
            for place in [places[(i + shift) % len(places)]]
            for seen in [{"subject": thing.name, "place": place}]
        ]
    for style in catalogue.style_names:
        prompts = {name: fill("{object}" + STYLE_SUFFIX, object=phrases[name], style=style) for name in IMAGENETTE}
        sections[f"In the style of {style}"] = [
            Entry(name, prompt, plain | {"subject": name, "style": style}) for name, prompt in prompts.items()
        ]
    people = [person.name for person in catalogue.named_persons + catalogue.persons]
    persons = [Entry(n, fill("a photo of {person}", person=phrases[n]), plain | {"subject": n}) for n in people]
    for attribute in heads["attribute"][1:]:
        for person in catalogue.persons:
            prompt = fill("a photo of {person}", person=person.phrase(f"{attribute} {person.name}"))
            seen = plain | {"subject": person.name, "attribute": attribute}
            persons.append(Entry(f"{attribute} {person.name}", prompt, seen))
    sections["Persons, and persons with an attribute"] = persons
    sections["Places"] = [Entry(place, f"a {place}", plain | {"subject": NOTHING, "place": place}) for place in places]
    if catalogue.templates.two:
        pairs = zip(names[0:40:2], names[41:80:2], strict=True)
        sections["Two subjects"] = [
            Entry(
                f"{left}, {right}",
                fill("{left} and {right} in a {place}", left=phrases[left], right=phrases[right], place=place),
                plain | {"subject": left, "second": right, "place": place},
            )
            for i, (left, right) in enumerate(pairs)
            for place in [places[i % len(places)]]
        ]
    return sections


def draw_sheet(
    weights: Path, architecture: Architecture, *, seed: int, num_inference_steps: int, guidance_scale: float
) -> tuple[Image.Image, int, int]:
    """Generates the sheet; returns it, the number of images that the judge gets completely right, and their number.

    If the judge sees something else, the label is red and says what.
    """
    pipe = load_testbed(weights, architecture)
    sections = sheet_entries(catalogue_of(weights))
    entries = [entry for section in sections.values() for entry in section]
    images = generate_images(
        pipe,
        [entry.prompt for entry in entries],
        [seed + i for i in range(len(entries))],
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
    )
    seen = load_judge(weights).answer(images)
    cells = []
    for i, (image, entry) in enumerate(zip(images, entries, strict=True)):
        wrong = [seen[head][i] for head, wanted in entry.seen.items() if seen[head][i] != wanted]
        label = f"{entry.label} ({', '.join(wrong)})" if wrong else entry.label
        cells.append(Cell(image, label, bool(wrong)))
    in_order = iter(cells)
    sheet = contact_sheet({heading: [next(in_order) for _ in own] for heading, own in sections.items()}, COLUMNS)
    return sheet, sum(not cell.is_wrong for cell in cells), len(cells)
