"""What the test-bed's world holds: objects in places, their pictures and their captions.

A scene is an emoji glyph with random position, size and flip in front of a drawn place, or a place
alone. `Scenes.sample` renders any number of them as tensors; equal generators give equal scenes.
The first ten objects carry the names of Imagenette's classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..prompts import fill
from .places import IMAGE_SIZE, PLACES, draw_place

GLYPH_FOLDER = Path(__file__).parent / "glyphs"
GLYPH_SIZE = 96
VARIANTS_PER_PLACE = 64


@dataclass(frozen=True)
class SceneObject:
    """An object of the test-bed: its name in captions, its emoji, and other words for it."""

    name: str
    character: str
    synonyms: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        return self.name.lower().replace(" ", "_") + ".png"


OBJECTS = (
    SceneObject("parachute", "🪂"),
    SceneObject("golf ball", "⛳", ("golf flag",)),
    SceneObject("garbage truck", "🚛", ("truck",)),
    SceneObject("cassette player", "📻", ("radio",)),
    SceneObject("church", "⛪", ("chapel",)),
    SceneObject("tench", "🐟", ("fish",)),
    SceneObject("English springer", "🐕", ("dog",)),
    SceneObject("French horn", "📯", ("horn",)),
    SceneObject("chain saw", "🪚", ("saw",)),
    SceneObject("gas pump", "⛽", ("fuel pump",)),
    SceneObject("cat", "🐈"),
    SceneObject("elephant", "🐘"),
    SceneObject("zebra", "🦓"),
    SceneObject("horse", "🐎"),
    SceneObject("duck", "🦆"),
    SceneObject("car", "🚗"),
    SceneObject("bicycle", "🚲"),
    SceneObject("bus", "🚌"),
    SceneObject("airplane", "✈️"),
    SceneObject("ship", "🚢"),
    SceneObject("mug", "☕"),
    SceneObject("chair", "🪑"),
    SceneObject("television", "📺"),
    SceneObject("bottle", "🍾"),
    SceneObject("umbrella", "☂️"),
    SceneObject("backpack", "🎒"),
    SceneObject("suitcase", "🧳"),
    SceneObject("pizza", "🍕"),
    SceneObject("banana", "🍌"),
    SceneObject("strawberry", "🍓"),
)
OBJECT_NAMES = tuple(thing.name for thing in OBJECTS)
PLACE_NAMES = tuple(PLACES)
IMAGENETTE = OBJECT_NAMES[:10]
NO_OBJECT = len(OBJECTS)  # the object index of a place alone

OBJECT_TEMPLATES = (
    "a {object} in a {place}",
    "a {object} in the {place}",
    "a {object} near a {place}",
    "a {object} near the {place}",
    "a {object} on a {place}",
    "a photo of a {object} in a {place}",
)
PLACE_TEMPLATES = ("a {place}", "the {place}", "a photo of a {place}", "an empty {place}")
ALONE_TEMPLATES = ("a {object}", "a photo of a {object}")


@dataclass
class SceneBatch:
    """Rendered scenes with their labels.

    Attributes:
        images: (n, 3, IMAGE_SIZE, IMAGE_SIZE) float32 in [-1, 1].
        objects: (n,) index into OBJECTS, or NO_OBJECT.
        places: (n,) index into PLACE_NAMES.
        captions: n captions in English.
    """

    images: Tensor
    objects: Tensor
    places: Tensor
    captions: list[str]


class Scenes:
    """Renders scenes on a device; the glyphs and the places are loaded and drawn once."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        glyphs = [Image.open(GLYPH_FOLDER / thing.filename).convert("RGBA") for thing in OBJECTS]
        # Shrunk to about the size they are drawn at, so that bilinear sampling does not alias.
        small = [glyph.resize((48, 48), Image.Resampling.LANCZOS) for glyph in glyphs]
        rgba = torch.tensor(np.stack([np.asarray(glyph) for glyph in small])).permute(0, 3, 1, 2) / 255
        colour, self.alpha = rgba[:, :3].to(self.device), rgba[:, 3:].to(self.device)
        self.premultiplied = torch.cat([colour * self.alpha, self.alpha], dim=1)
        rng = Random(0)
        drawn = [[np.asarray(draw_place(p, rng)) for _ in range(VARIANTS_PER_PLACE)] for p in PLACE_NAMES]
        self.backgrounds = torch.tensor(np.array(drawn)).permute(0, 1, 4, 2, 3).to(self.device)

    def sample(
        self, number: int, generator: torch.Generator, *, objects: Tensor | None = None, places: Tensor | None = None
    ) -> SceneBatch:
        """Renders random scenes.

        Args:
            number: how many.
            generator: a CPU generator; it decides everything.
            objects: (number,) object indices, NO_OBJECT for none; random by default, one in eight of
                them a place alone.
            places: (number,) place indices; random by default.
        """
        if objects is None:
            objects = torch.randint(len(OBJECTS), (number,), generator=generator)
            objects[torch.rand(number, generator=generator) < 1 / 8] = NO_OBJECT
        if places is None:
            places = torch.randint(len(PLACE_NAMES), (number,), generator=generator)
        images = self.draw_backgrounds(places, generator)
        sprites = self.place_sprites(self.sprites(objects), generator)
        images = images * (1 - sprites[:, 3:]) + sprites[:, :3]
        captions = draw_captions(objects.tolist(), places.tolist(), generator)
        return SceneBatch(images * 2 - 1, objects, places, captions)

    def sprites(self, objects: Tensor) -> Tensor:
        """Returns (n, 4, 48, 48) glyphs with premultiplied alpha, fully transparent for NO_OBJECT."""
        glyphs = self.premultiplied[objects.clamp(max=len(OBJECTS) - 1).to(self.device)]
        return glyphs * (objects != NO_OBJECT).to(self.device).view(-1, 1, 1, 1)

    def draw_backgrounds(self, places: Tensor, generator: torch.Generator) -> Tensor:
        """Returns (n, 3, IMAGE_SIZE, IMAGE_SIZE) places in [0, 1], with random brightness and flip."""
        number = len(places)
        variant = torch.randint(VARIANTS_PER_PLACE, (number,), generator=generator)
        images = self.backgrounds[places.to(self.device), variant.to(self.device)] / 255
        flip = torch.rand(number, generator=generator) < 0.5
        images = torch.where(flip.to(self.device).view(-1, 1, 1, 1), images.flip(-1), images)
        brightness = 0.92 + 0.16 * torch.rand(number, 1, 1, 1, generator=generator)
        return (images * brightness.to(self.device)).clamp(0, 1)

    def place_sprites(self, sprites: Tensor, generator: torch.Generator) -> Tensor:
        """Draws each sprite at a random size, position and flip into an empty (n, 4, 64, 64) picture.

        Sizes (32 or 40 pixels) and positions (every fourth pixel) are few, so that a small model can learn them.
        """
        number = len(sprites)
        size, x, y, flip = torch.rand(4, number, generator=generator)
        size = torch.where(size < 0.5, 32.0, 40.0)
        last = IMAGE_SIZE - 4 - size  # four pixels stay free on every side
        left = 4 + 4 * (x * ((last - 4) / 4 + 1)).floor()
        top = 16 + 4 * (y * ((last - 16) / 4 + 1)).floor()  # things stand on the ground rather than in the sky
        # affine_grid maps output to input coordinates, both in [-1, 1].
        scale = IMAGE_SIZE / size
        theta = torch.zeros(number, 2, 3)
        theta[:, 0, 0] = scale * torch.where(flip < 0.5, 1.0, -1.0)
        theta[:, 0, 2] = theta[:, 0, 0] * (1 - (2 * left + size) / IMAGE_SIZE)
        theta[:, 1, 1] = scale
        theta[:, 1, 2] = scale * (1 - (2 * top + size) / IMAGE_SIZE)
        grid = F.affine_grid(theta, [number, 4, IMAGE_SIZE, IMAGE_SIZE], align_corners=False)
        return F.grid_sample(sprites, grid.to(self.device), align_corners=False)


def draw_captions(objects: Sequence[int], places: Sequence[int], generator: torch.Generator) -> list[str]:
    """Returns a random caption for each pair of indices; one in ten names the object alone."""
    template, synonym, alone = torch.rand(3, len(objects), generator=generator).tolist()
    captions = []
    for i, (thing, place) in enumerate(zip(objects, places, strict=True)):
        if thing == NO_OBJECT:
            templates: tuple[str, ...] = PLACE_TEMPLATES
            name = ""
        else:
            templates = ALONE_TEMPLATES if alone[i] < 0.1 else OBJECT_TEMPLATES
            names = OBJECTS[thing].synonyms if synonym[i] < 0.15 else ()
            name = names[int(synonym[i] / 0.15 * len(names))] if names else OBJECTS[thing].name
        chosen = templates[int(template[i] * len(templates))]
        captions.append(fill(chosen, object=name, place=PLACE_NAMES[place]))
    return captions


def all_captions() -> list[str]:
    """Returns every caption that `draw_captions` can give, sorted; the tokenizer is made from them."""
    captions = {fill(t, place=place) for t in PLACE_TEMPLATES for place in PLACE_NAMES}
    for thing in OBJECTS:
        for name in (thing.name, *thing.synonyms):
            captions |= {fill(t, object=name) for t in ALONE_TEMPLATES}
            captions |= {fill(t, object=name, place=place) for t in OBJECT_TEMPLATES for place in PLACE_NAMES}
    return sorted(captions)
