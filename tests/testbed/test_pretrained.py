"""What ships with the package: the judge judges shapes, and the CLIP knows what is in a picture."""

import pytest
import torch

from fia.prompts import fill
from fia.testbed import load_classifier, load_clip
from fia.testbed.classifier import UNRECOGNISABLE, classify, ruin
from fia.testbed.pretrained import FOLDER
from fia.testbed.scenes import NO_OBJECT, OBJECT_NAMES, Scenes

NUMBER = 310


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return Scenes()


def test_the_model_stays_within_forty_megabytes() -> None:
    assert sum(file.stat().st_size for file in (FOLDER / "model").rglob("*.safetensors")) <= 40e6


def test_the_judge_names_renders_it_never_saw(scenes: Scenes) -> None:
    batch = scenes.sample(NUMBER, torch.Generator().manual_seed(1), objects=torch.arange(NUMBER) % (NO_OBJECT + 1))
    objects, places = classify(load_classifier(), batch.images)
    assert (objects == batch.objects).float().mean() >= 0.99
    assert (places == batch.places).float().mean() >= 0.99


def test_the_judge_is_not_fooled_by_colour_alone(scenes: Scenes) -> None:
    generator = torch.Generator().manual_seed(2)
    things = torch.arange(NUMBER) % NO_OBJECT
    sprites = ruin(scenes.place_sprites(scenes.sprites(things), generator), generator)
    places = torch.zeros(NUMBER, dtype=torch.long)
    images = scenes.draw_backgrounds(places, generator) * (1 - sprites[:, 3:]) + sprites[:, :3]
    objects, _ = classify(load_classifier(), images * 2 - 1)
    assert (objects == things).float().mean() <= 0.1
    # Nearly transparent and smeared things may also count as absent.
    assert ((objects == UNRECOGNISABLE) | (objects == NO_OBJECT)).float().mean() >= 0.9


def test_the_clip_finds_the_caption_of_a_picture(scenes: Scenes) -> None:
    clip, tokenizer = load_clip()
    batch = scenes.sample(NUMBER, torch.Generator().manual_seed(3), objects=torch.arange(NUMBER) % NO_OBJECT)
    captions = [fill("a {object}", object=name) for name in OBJECT_NAMES]
    tokens = tokenizer(captions, padding="max_length", return_tensors="pt")
    with torch.no_grad():
        guesses = clip(**tokens, pixel_values=batch.images).logits_per_image.argmax(dim=1)
    assert (guesses == batch.objects).float().mean() >= 0.9
