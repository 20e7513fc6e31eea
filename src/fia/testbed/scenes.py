"""Renders the embedded model's scenes as tensors. Equal generators give equal scenes.

A scene is an emoji glyph with random position, size and flip in front of a painted place, or a place alone. Half of the
persons smoke, and one scene in four has the style of one of the artists.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .captions import draw_captions
from .places import IMAGE_SIZE, draw_place
from .styles import STYLES
from .world import CIGARETTE, NO_STYLE, NO_SUBJECT, OBJECTS, PERSONS, PLACE_NAMES, SUBJECTS, Glyph

GLYPH_FOLDER = Path(__file__).parent / "glyphs"
GLYPH_SIZE = 96
SPRITE_SIZE = 48  # about the size of sprites in scenes, so that bilinear sampling does not alias
SIZES = (40, 48)  # pixels
GRID = 8  # pixels between the possible positions of a sprite, as between latents
VARIANTS_PER_PLACE = 64


@dataclass
class SceneBatch:
    """Rendered scenes with their labels.

    Attributes:
        images: (n, 3, IMAGE_SIZE, IMAGE_SIZE) float32 in [-1, 1], on the device of the scenes. Labels are on the CPU.
        subjects: (n,) indices into SUBJECTS, or NO_SUBJECT.
        places: (n,) indices into PLACE_NAMES.
        styles: (n,) indices into STYLE_NAMES, or NO_STYLE.
        smoking: (n,) bool, true only for persons.
        captions: n captions in English.
    """

    images: Tensor
    subjects: Tensor
    places: Tensor
    styles: Tensor
    smoking: Tensor
    captions: list[str]


class Scenes:
    """Renders scenes on a device. It loads the glyphs and paints the places once."""

    def __init__(self, device: torch.device | str = "cpu", without: Sequence[str] = ()) -> None:
        """Takes the device, and the names of subjects that random scenes never show."""
        self.device = torch.device(device)
        self.shown = torch.tensor([i for i, subject in enumerate(SUBJECTS) if subject.name not in without])
        glyphs = [load_glyph(subject) for subject in SUBJECTS]
        glyphs += [
            with_cigarette(face) for face in glyphs[-len(PERSONS) :]
        ]  # smokers follow the persons, in the same order
        sprites = torch.stack([sprite(glyph) for glyph in glyphs])
        colour, alpha = sprites[:, :3], sprites[:, 3:]
        self.premultiplied = torch.cat([colour * alpha, alpha], dim=1).to(self.device)
        rng = Random(0)
        drawn = [[np.asarray(draw_place(p, rng)) for _ in range(VARIANTS_PER_PLACE)] for p in PLACE_NAMES]
        self.backgrounds = torch.tensor(np.array(drawn)).permute(0, 1, 4, 2, 3).to(self.device)

    def sample(
        self,
        number: int,
        generator: torch.Generator,
        *,
        subjects: Tensor | None = None,
        places: Tensor | None = None,
        styles: Tensor | None = None,
        smoking: Tensor | None = None,
        alter: Callable[[Tensor], Tensor] | None = None,
    ) -> SceneBatch:
        """Renders random scenes.

        Args:
            number: number of scenes.
            generator: a CPU generator. It decides everything.
            subjects: (number,) subject indices, or NO_SUBJECT. By default they are random, and one scene in eight is a
                place alone.
            places: (number,) place indices. By default they are random.
            styles: (number,) style indices, or NO_STYLE. By default they are random, and three scenes in four have no
                style.
            smoking: (number,) bool. It affects only persons. By default it is random.
            alter: changes the placed sprites (number, 4, 64, 64) before they are put into the scene.
        """
        if subjects is None:
            subjects = self.shown[torch.randint(len(self.shown), (number,), generator=generator)]
            subjects[torch.rand(number, generator=generator) < 1 / 8] = NO_SUBJECT
        if places is None:
            places = torch.randint(len(PLACE_NAMES), (number,), generator=generator)
        if styles is None:
            styles = torch.randint(len(STYLES), (number,), generator=generator)
            styles[torch.rand(number, generator=generator) < 3 / 4] = NO_STYLE
        if smoking is None:
            smoking = torch.rand(number, generator=generator) < 0.5
        smoking = smoking & (subjects >= len(OBJECTS)) & (subjects != NO_SUBJECT)
        with torch.autocast(self.device.type, enabled=False):  # so that scenes are the same inside a training step
            sprites = self.place_sprites(self.sprites(subjects, smoking), generator)
            if alter is not None:
                sprites = alter(sprites)
            images = self.draw_backgrounds(places, generator) * (1 - sprites[:, 3:]) + sprites[:, :3]
            images = self.draw_styles(images, styles)
        labels = (subjects.tolist(), places.tolist(), styles.tolist(), smoking.tolist())
        return SceneBatch(images, subjects, places, styles, smoking, draw_captions(*labels, generator))

    def sprites(self, subjects: Tensor, smoking: Tensor) -> Tensor:
        """Returns (n, 4, 48, 48) glyphs with premultiplied alpha, fully transparent for NO_SUBJECT.

        Args:
            subjects: (n,) subject indices, or NO_SUBJECT.
            smoking: (n,) bool, true only for persons.
        """
        index = torch.where(smoking, subjects + len(PERSONS), subjects).to(self.device)
        nothing = (subjects == NO_SUBJECT).to(self.device)
        return self.premultiplied[index.masked_fill(nothing, 0)] * ~nothing.view(-1, 1, 1, 1)

    def draw_styles(self, images: Tensor, styles: Tensor) -> Tensor:
        """Puts images (n, 3, 64, 64) in [0, 1] into their styles, in place, and returns them in [-1, 1]."""
        for i, draw in enumerate(STYLES.values()):
            chosen = (styles == i).to(self.device)
            if chosen.any():
                images[chosen] = draw(images[chosen])
        return images.clamp(0, 1) * 2 - 1

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
        """Puts each sprite with a random size, position and flip into an empty (n, 4, 64, 64) image.

        There are few sizes and positions, so that a small model can learn them. Subjects stand on the ground, not in
        the sky.
        """
        number = len(sprites)
        size, x, y, flip = torch.rand(4, number, generator=generator)
        size = torch.tensor(SIZES)[(size * len(SIZES)).long()].float()
        left = GRID * (x * ((IMAGE_SIZE - size) / GRID + 1)).floor()
        rows = torch.where(size < max(SIZES), 2, 1)
        top = IMAGE_SIZE - size - GRID * (y * rows).floor()
        # affine_grid maps output to input coordinates, both in [-1, 1].
        scale = IMAGE_SIZE / size
        theta = torch.zeros(number, 2, 3)
        theta[:, 0, 0] = scale * torch.where(flip < 0.5, 1.0, -1.0)
        theta[:, 0, 2] = theta[:, 0, 0] * (1 - (2 * left + size) / IMAGE_SIZE)
        theta[:, 1, 1] = scale
        theta[:, 1, 2] = scale * (1 - (2 * top + size) / IMAGE_SIZE)
        grid = F.affine_grid(theta, [number, 4, IMAGE_SIZE, IMAGE_SIZE], align_corners=False)
        return F.grid_sample(sprites, grid.to(self.device), align_corners=False)


def load_glyph(glyph: Glyph) -> Image.Image:
    """Returns the RGBA image of a glyph, GLYPH_SIZE pixels square."""
    return Image.open(GLYPH_FOLDER / glyph.filename).convert("RGBA")


def with_cigarette(face: Image.Image) -> Image.Image:
    """Returns a slightly smaller face with a smoking cigarette at its mouth."""
    picture = Image.new("RGBA", face.size)
    small = face.resize((80, 80), Image.Resampling.LANCZOS)
    picture.alpha_composite(small, (16, 16))
    picture.alpha_composite(load_glyph(CIGARETTE).resize((56, 56), Image.Resampling.LANCZOS), (0, 32))
    return picture


def sprite(glyph: Image.Image) -> Tensor:
    """Returns a glyph as (4, SPRITE_SIZE, SPRITE_SIZE) in [0, 1]."""
    small = glyph.resize((SPRITE_SIZE, SPRITE_SIZE), Image.Resampling.LANCZOS)
    return torch.tensor(np.asarray(small)).permute(2, 0, 1) / 255
