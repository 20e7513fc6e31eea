"""The scenes: deterministic, labelled, and captioned with what they show."""

import numpy as np
import pytest
import torch
from PIL import Image

from fia.concepts import preset
from fia.testbed.places import IMAGE_SIZE, PLACES, draw_place
from fia.testbed.scenes import (
    GLYPH_FOLDER,
    GLYPH_SIZE,
    IMAGENETTE,
    NO_OBJECT,
    OBJECTS,
    PLACE_NAMES,
    Scenes,
    all_captions,
    draw_captions,
)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return Scenes()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_ten_are_those_of_the_papers_preset() -> None:
    assert set(IMAGENETTE) == {concept.name for concept in preset("imagenette")}


def test_there_are_thirty_objects_and_eight_places() -> None:
    assert len(OBJECTS) >= 30
    assert len(PLACES) >= 8


def test_every_glyph_ships_as_a_square_image_with_both_licences() -> None:
    for thing in OBJECTS:
        with Image.open(GLYPH_FOLDER / thing.filename) as glyph:
            assert glyph.size == (GLYPH_SIZE, GLYPH_SIZE)
            assert glyph.mode == "RGBA"
    assert "Apache License" in (GLYPH_FOLDER / "LICENSE-Apache-2.0.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in (GLYPH_FOLDER / "LICENSE-OFL-1.1.txt").read_text()


@pytest.mark.parametrize("name", PLACES)
def test_places_vary_and_repeat_with_the_seed(name: str) -> None:
    from random import Random

    first, again, other = (np.asarray(draw_place(name, Random(seed))) for seed in (1, 1, 2))
    assert first.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
    assert (first == again).all()
    assert (first != other).any()


def test_equal_generators_give_equal_scenes(scenes: Scenes) -> None:
    one, two = scenes.sample(8, generator()), scenes.sample(8, generator())
    assert torch.equal(one.images, two.images)
    assert one.captions == two.captions
    assert one.images.shape == (8, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert one.images.min() >= -1
    assert one.images.max() <= 1


def test_an_object_changes_part_of_the_picture_and_none_changes_nothing(scenes: Scenes) -> None:
    places = torch.zeros(1, dtype=torch.long)
    alone = scenes.sample(1, generator(3), objects=torch.tensor([NO_OBJECT]), places=places).images
    with_object = scenes.sample(1, generator(3), objects=torch.tensor([4]), places=places).images
    changed = (alone != with_object).any(dim=1).float().mean().item()
    assert 0.05 < changed < 0.6  # a glyph is 32 or 40 of 64 pixels wide, and has holes


def test_sprites_stay_inside_the_picture(scenes: Scenes) -> None:
    objects = torch.full((256,), 9)
    placed = scenes.place_sprites(scenes.sprites(objects), generator())
    assert placed.shape == (256, 4, IMAGE_SIZE, IMAGE_SIZE)
    alpha = placed[:, 3]
    assert alpha[:, :, 0].max() == 0
    assert alpha[:, :, -1].max() == 0
    assert alpha[:, 0].max() == 0
    assert alpha[:, -1].max() == 0


def test_captions_name_object_and_place() -> None:
    objects, places = [6, NO_OBJECT] * 50, list(range(len(PLACE_NAMES))) * 12 + [0, 1, 2, 3]
    captions = draw_captions(objects, places, generator())
    for i, caption in enumerate(captions):
        if objects[i] == NO_OBJECT:
            assert PLACE_NAMES[places[i]] in caption
        else:
            assert "English springer" in caption or "dog" in caption
    assert any("an English springer" in caption for caption in captions)
    assert set(captions) <= set(all_captions())
