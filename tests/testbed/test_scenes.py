"""The scenes: deterministic, labelled, and captioned with what they show."""

import numpy as np
import pytest
import torch
from PIL import Image

from fia.concepts import preset
from fia.testbed.captions import all_captions, draw_captions
from fia.testbed.large import LARGE
from fia.testbed.places import IMAGE_SIZE, draw_place
from fia.testbed.scenes import GLYPH_FOLDER, GLYPH_SIZE, GRID, Scenes, load_glyph, sprite, with_attribute
from fia.testbed.world import (
    CIGARETTE,
    IMAGENETTE,
    NO_STYLE,
    NO_SUBJECT,
    OBJECTS,
    PERSON_NAMES,
    PERSONS,
    PLACE_NAMES,
    SMALL,
    STYLE_NAMES,
    SUBJECTS,
)

pytestmark = pytest.mark.slow


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_ten_are_those_of_the_papers_preset() -> None:
    assert set(IMAGENETTE) == {concept.name for concept in preset("imagenette")}


def test_the_world_is_as_large_as_promised() -> None:
    assert len(OBJECTS) >= 30
    assert len(PLACE_NAMES) >= 8
    assert len(STYLE_NAMES) >= 3
    assert len(PERSON_NAMES) >= 2
    assert len({subject.name for subject in SUBJECTS}) == len(SUBJECTS)


def test_every_glyph_ships_as_a_square_image_with_both_licences() -> None:
    for subject in (*LARGE.subjects, *(attribute.glyph for attribute in LARGE.attributes)):
        with Image.open(GLYPH_FOLDER / subject.filename) as glyph:
            assert glyph.size == (GLYPH_SIZE, GLYPH_SIZE)
            assert glyph.mode == "RGBA"
    assert "Apache License" in (GLYPH_FOLDER / "LICENSE-Apache-2.0.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in (GLYPH_FOLDER / "LICENSE-OFL-1.1.txt").read_text()


@pytest.mark.parametrize("name", LARGE.places)
def test_places_vary_and_repeat_with_the_seed(name: str) -> None:
    from random import Random

    first, again, other = (np.asarray(draw_place(LARGE.places[name], Random(seed))) for seed in (1, 1, 2))
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


NATURAL = torch.tensor([NO_STYLE])


def test_an_object_changes_part_of_the_picture_and_none_changes_nothing(scenes: Scenes) -> None:
    places = torch.zeros(1, dtype=torch.long)

    def draw(subject: int) -> torch.Tensor:
        chosen = torch.tensor([subject])
        return scenes.sample(1, generator(3), subjects=chosen, places=places, styles=NATURAL).images

    changed = (draw(NO_SUBJECT) != draw(4)).any(dim=1).float().mean().item()
    assert 0.05 < changed < 0.6  # a glyph is 40 or 48 of 64 pixels wide, and has holes


def test_only_persons_smoke_and_the_caption_says_so(scenes: Scenes) -> None:
    number = 2 * len(SUBJECTS)
    subjects = torch.arange(number) % (NO_SUBJECT + 1)
    batch = scenes.sample(number, generator(), subjects=subjects, attributes=torch.ones(number, dtype=torch.long))
    persons = (subjects >= len(OBJECTS)) & (subjects != NO_SUBJECT)
    assert torch.equal(batch.attributes, persons.long())
    assert [("smoking" in caption) for caption in batch.captions] == persons.tolist()


@pytest.mark.parametrize("i", range(len(PERSONS)))
def test_a_smoking_person_is_drawn_with_a_cigarette(scenes: Scenes, i: int) -> None:
    subject = torch.tensor([len(OBJECTS) + i])
    for attribute, glyph in ((0, load_glyph(PERSONS[i])), (1, with_attribute(load_glyph(PERSONS[i]), CIGARETTE))):
        wanted = sprite(glyph)
        drawn = scenes.sprites(subject, torch.tensor([attribute]))[0]
        assert torch.equal(drawn, torch.cat([wanted[:3] * wanted[3:], wanted[3:]]))


def test_scenes_are_the_same_inside_autocast(scenes: Scenes) -> None:
    plain = scenes.sample(16, generator()).images
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(scenes.sample(16, generator()).images, plain)


def test_a_style_is_drawn_and_named(scenes: Scenes) -> None:
    styles = torch.arange(12) % (NO_STYLE + 1)
    batch = scenes.sample(12, generator(), styles=styles)
    assert torch.equal(batch.styles, styles)
    for caption, style in zip(batch.captions, styles.tolist(), strict=True):
        assert ("style" in caption) == (style != NO_STYLE)
        assert style == NO_STYLE or STYLE_NAMES[style] in caption
    plain = scenes.sample(12, generator(), styles=torch.full((12,), NO_STYLE))
    same = (plain.images == batch.images).flatten(1).all(dim=1)
    assert torch.equal(same, styles == NO_STYLE)


def test_what_is_not_chosen_is_drawn_at_random(scenes: Scenes) -> None:
    batch = scenes.sample(2000, generator())
    persons = (batch.subjects >= len(OBJECTS)) & (batch.subjects != NO_SUBJECT)
    # 2000 draws deviate by about 0.01, 200 persons by 0.035
    assert (batch.subjects == NO_SUBJECT).float().mean().item() == pytest.approx(1 / 8, abs=0.04)
    assert (batch.styles == NO_STYLE).float().mean().item() == pytest.approx(3 / 4, abs=0.04)
    assert batch.attributes[persons].float().mean().item() == pytest.approx(1 / 2, abs=0.14)


def test_sprites_stand_in_the_lower_part_on_the_grid(scenes: Scenes) -> None:
    gas_pump = torch.full((256,), 9)
    placed = scenes.place_sprites(scenes.sprites(gas_pump, torch.zeros(256, dtype=torch.long)), generator())
    assert placed.shape == (256, 4, IMAGE_SIZE, IMAGE_SIZE)
    inked = placed[:, 3] > 0.5
    heights = inked.any(dim=2).sum(dim=1)
    lowest = IMAGE_SIZE - inked.flip(1).any(dim=2).int().argmax(dim=1)
    assert {(height, foot) for height, foot in zip(heights.tolist(), lowest.tolist(), strict=True)} == {
        *((40, 56), (40, 64)),  # a gas pump is as high as its sprite
        (48, 64),
    }
    lefts = inked.any(dim=1).int().argmax(dim=1)
    for size, positions in ((40, 4), (48, 3)):
        chosen = lefts[heights == size]
        offsets = (chosen % GRID).unique()
        assert len(offsets) <= 2  # one for each way it may face
        assert len(chosen.unique()) <= positions * len(offsets)
        assert len(chosen.unique()) >= positions


def test_captions_name_what_is_there() -> None:
    subjects, places = [6, NO_SUBJECT] * 50, list(range(len(PLACE_NAMES))) * 12 + [0, 1, 2, 3]
    captions = draw_captions(SMALL, subjects, places, [NO_STYLE] * 100, [0] * 100, generator())
    for i, caption in enumerate(captions):
        if subjects[i] == NO_SUBJECT:
            assert PLACE_NAMES[places[i]] in caption
        else:
            assert "English springer" in caption or "dog" in caption
    assert any("an English springer" in caption for caption in captions)
    assert set(captions) <= set(all_captions())


def test_every_caption_is_among_those_the_tokenizer_learned_but_for_its_style(scenes: Scenes) -> None:
    known = set(all_captions())
    for caption in scenes.sample(1000, generator()).captions:
        assert caption.split(" in the style of ")[0] in known


def test_subjects_that_are_left_out_are_never_shown(scenes: Scenes) -> None:
    without = Scenes(without=("church", "man"))
    left_out = [i for i, subject in enumerate(SUBJECTS) if subject.name in ("church", "man")]
    batch = without.sample(400, torch.Generator().manual_seed(0))
    assert not set(batch.subjects.tolist()) & set(left_out)
    assert len(set(batch.subjects.tolist())) > 25
    assert not [caption for caption in batch.captions if "church" in caption or "chapel" in caption]
    usual = [own.sample(50, torch.Generator().manual_seed(0)) for own in (scenes, Scenes(without=()))]
    assert torch.equal(usual[0].subjects, usual[1].subjects)
    assert set(scenes.sample(400, torch.Generator().manual_seed(0)).subjects.tolist()) & set(left_out)
