"""Renders the embedded model's scenes as tensors. Equal generators give equal scenes.

A scene is an emoji glyph with random position, size and flip in front of a painted place, or a place alone. Half of the
persons smoke (with two attributes, a third have each), and one scene in four has the style of one of the artists. If a
catalogue has captions with two subjects, one scene in five shows two, side by side.
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
from .catalogue import Attribute, Catalogue, Glyph
from .places import IMAGE_SIZE, draw_place
from .world import SMALL

GLYPH_FOLDER = Path(__file__).parent / "glyphs"
GLYPH_SIZE = 96
SPRITE_SIZE = 48  # about the size of sprites in scenes, so that bilinear sampling does not alias
SIZES = (40, 48)  # pixels
GRID = 8  # pixels between the possible positions of a sprite, as between latents
VARIANTS_PER_PLACE = 64
HALF = IMAGE_SIZE // 2  # the size of each of two sprites
SHARE_OF_TWO = 1 / 5  # of the scenes with a subject, if there are captions for two


@dataclass
class SceneBatch:
    """Rendered scenes with their labels.

    Attributes:
        images: (n, 3, IMAGE_SIZE, IMAGE_SIZE) float32 in [-1, 1], on the device of the scenes. Labels are on the CPU.
        subjects: (n,) indices into the catalogue's subjects, or its `no_subject`. Of two, the left one.
        places: (n,) indices into its places.
        styles: (n,) indices into its styles, or its `no_style`.
        attributes: (n,) the attribute of a person, counted from 1; 0 is none.
        seconds: (n,) the right one of two subjects, or `no_subject`.
        captions: n captions in English.
    """

    images: Tensor
    subjects: Tensor
    places: Tensor
    styles: Tensor
    attributes: Tensor
    seconds: Tensor
    captions: list[str]


class Scenes:
    """Renders scenes on a device. It loads the glyphs and paints the places once."""

    def __init__(
        self, device: torch.device | str = "cpu", without: Sequence[str] = (), catalogue: Catalogue = SMALL
    ) -> None:
        """Takes the device, the names of subjects that random scenes never show, and what there is to show."""
        self.device, self.catalogue = torch.device(device), catalogue
        names = enumerate(catalogue.subject_names)
        self.shown = torch.tensor([i for i, name in names if name not in without])
        glyphs = [load_glyph(subject) for subject in catalogue.subjects]
        faces = glyphs[catalogue.first_person :]
        for attribute in catalogue.attributes:  # the persons with each attribute follow, in the same order
            glyphs += [with_attribute(face, attribute) for face in faces]
        sprites = torch.stack([sprite(glyph) for glyph in glyphs])
        colour, alpha = sprites[:, :3], sprites[:, 3:]
        self.premultiplied = torch.cat([colour * alpha, alpha], dim=1).to(self.device)
        rng = Random(0)
        painters = catalogue.places.values()
        drawn = [[np.asarray(draw_place(paint, rng)) for _ in range(VARIANTS_PER_PLACE)] for paint in painters]
        self.backgrounds = torch.tensor(np.array(drawn)).permute(0, 1, 4, 2, 3).to(self.device)

    def sample(
        self,
        number: int,
        generator: torch.Generator,
        *,
        subjects: Tensor | None = None,
        places: Tensor | None = None,
        styles: Tensor | None = None,
        attributes: Tensor | None = None,
        seconds: Tensor | None = None,
        alter: tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] | None = None,
    ) -> SceneBatch:
        """Renders random scenes.

        Args:
            number: number of scenes.
            generator: a CPU generator. It decides everything.
            subjects: (number,) subject indices, or `no_subject`. By default they are random, and one scene in eight is
                a place alone.
            places: (number,) place indices. By default they are random.
            styles: (number,) style indices, or `no_style`. By default they are random, and three scenes in four have no
                style.
            attributes: (number,) attributes, counted from 1; 0 is none. They affect only persons. By default they are
                random.
            seconds: (number,) indices of second subjects, or `no_subject`. By default they are random if there are
                captions for two, and none if the subjects are given.
            alter: changes the placed sprites (number, 4, 64, 64) of the first and of the second subjects before they
                are put into the scene.
        """
        nobody, is_random = self.catalogue.no_subject, subjects is None
        if subjects is None:
            subjects = self.shown[torch.randint(len(self.shown), (number,), generator=generator)]
            subjects[torch.rand(number, generator=generator) < 1 / 8] = nobody
        if places is None:
            places = torch.randint(len(self.catalogue.places), (number,), generator=generator)
        if styles is None:
            styles = torch.randint(len(self.catalogue.styles), (number,), generator=generator)
            styles[torch.rand(number, generator=generator) < 3 / 4] = self.catalogue.no_style
        if attributes is None:
            most = len(self.catalogue.attributes)
            attributes = most - ((most + 1) * torch.rand(number, generator=generator)).long()
        if seconds is None and is_random and self.catalogue.templates.two:
            seconds = self.sample_seconds(subjects, generator)
        elif seconds is None:
            seconds = torch.full((number,), nobody)
        has_two = seconds != nobody
        attributes = attributes * ((subjects >= self.catalogue.first_person) & (subjects != nobody) & ~has_two)
        with torch.autocast(self.device.type, enabled=False):  # so that scenes are the same inside a training step
            first, second = alter or (lambda sprites: sprites,) * 2
            sprites = [first(self.place_sprites(self.sprites(subjects, attributes), generator, has_two))]
            if has_two.any():
                others = self.sprites(seconds, torch.zeros_like(attributes))
                sprites.append(second(self.place_sprites(others, generator, has_two, is_second=True)))
            images = self.draw_backgrounds(places, generator)
            for own in sprites:
                images = images * (1 - own[:, 3:]) + own[:, :3]
            images = self.draw_styles(images, styles)
        labels = (subjects.tolist(), places.tolist(), styles.tolist(), attributes.tolist())
        rest = (seconds.tolist(),) if self.catalogue.templates.two else ()
        captions = draw_captions(self.catalogue, *labels, generator, *rest)
        return SceneBatch(images, subjects, places, styles, attributes, seconds, captions)

    def sample_seconds(self, subjects: Tensor, generator: torch.Generator) -> Tensor:
        """Returns random second subjects for SHARE_OF_TWO of the scenes with these subjects (n,), else `no_subject`."""
        nobody = self.catalogue.no_subject
        chosen = torch.rand(len(subjects), generator=generator) < SHARE_OF_TWO
        others = self.shown[torch.randint(len(self.shown), (len(subjects),), generator=generator)]
        return torch.where(chosen & (subjects != nobody) & (subjects != others), others, nobody)

    def sprites(self, subjects: Tensor, attributes: Tensor) -> Tensor:
        """Returns (n, 4, 48, 48) glyphs with premultiplied alpha, fully transparent for `no_subject`.

        Args:
            subjects: (n,) subject indices, or `no_subject`.
            attributes: (n,) attributes, counted from 1; above 0 only for persons.
        """
        index = (subjects + attributes * len(self.catalogue.persons)).to(self.device)
        nothing = (subjects == self.catalogue.no_subject).to(self.device)
        return self.premultiplied[index.masked_fill(nothing, 0)] * ~nothing.view(-1, 1, 1, 1)

    def draw_styles(self, images: Tensor, styles: Tensor) -> Tensor:
        """Puts images (n, 3, 64, 64) in [0, 1] into their styles, in place, and returns them in [-1, 1]."""
        for i, draw in enumerate(self.catalogue.styles.values()):
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

    def place_sprites(
        self, sprites: Tensor, generator: torch.Generator, has_two: Tensor | None = None, *, is_second: bool = False
    ) -> Tensor:
        """Puts each sprite with a random size, position and flip into an empty (n, 4, 64, 64) image.

        There are few sizes and positions, so that a small model can learn them. Subjects stand on the ground, not in
        the sky.

        Args:
            sprites: (n, 4, 48, 48) sprites.
            generator: a CPU generator.
            has_two: (n,) whether the sprite is one of two. These are smaller, and each has its own half.
            is_second: whether these are the sprites on the right.
        """
        number = len(sprites)
        size, x, y, flip = torch.rand(4, number, generator=generator)
        size = torch.tensor(SIZES)[(size * len(SIZES)).long()].float()
        left = GRID * (x * ((IMAGE_SIZE - size) / GRID + 1)).floor()
        rows = torch.where(size < max(SIZES), 2, 1)
        if has_two is not None:
            size, left = torch.where(has_two, HALF, size), torch.where(has_two, HALF * is_second, left)
            rows = torch.where(has_two, 3, rows)
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


def with_attribute(face: Image.Image, attribute: Attribute) -> Image.Image:
    """Returns a slightly smaller face with the emoji of an attribute, such as a cigarette at its mouth."""
    picture = Image.new("RGBA", face.size)
    small = face.resize((80, 80), Image.Resampling.LANCZOS)
    picture.alpha_composite(small, attribute.face)
    emoji = load_glyph(attribute.glyph).resize((attribute.size, attribute.size), Image.Resampling.LANCZOS)
    picture.alpha_composite(emoji, (attribute.left, attribute.top))
    return picture


def sprite(glyph: Image.Image) -> Tensor:
    """Returns a glyph as (4, SPRITE_SIZE, SPRITE_SIZE) in [0, 1]."""
    small = glyph.resize((SPRITE_SIZE, SPRITE_SIZE), Image.Resampling.LANCZOS)
    return torch.tensor(np.asarray(small)).permute(2, 0, 1) / 255
