"""The judge's lessons: what is ruined keeps its colours but not its shape."""

import torch

from fia.testbed.classifier import (
    LABELS,
    OBJECT_LABELS,
    UNRECOGNISABLE,
    blur,
    build_classifier,
    judged_scenes,
    shuffle_tiles,
)
from fia.testbed.scenes import PLACE_NAMES, Scenes


def test_labels_are_objects_none_unrecognisable_then_places() -> None:
    assert OBJECT_LABELS[UNRECOGNISABLE] == "unrecognisable"
    assert OBJECT_LABELS[-2:] == ("none", "unrecognisable")
    assert LABELS[len(OBJECT_LABELS) :] == PLACE_NAMES
    classifier = build_classifier()
    assert classifier(torch.zeros(1, 3, 64, 64)).logits.shape == (1, len(LABELS))
    assert classifier.config.id2label[0] == "parachute"


def test_about_a_quarter_of_the_objects_is_ruined_and_labelled_so() -> None:
    images, objects, places = judged_scenes(Scenes(), 400, torch.Generator().manual_seed(0))
    share = (objects == UNRECOGNISABLE).float().mean().item()
    assert 0.15 < share < 0.3  # a quarter of seven eighths; 400 draws deviate by 0.02
    assert images.shape == (400, 3, 64, 64)
    assert images.abs().max() <= 1
    assert places.max() < len(PLACE_NAMES)


def test_blur_keeps_the_mean_of_a_flat_picture_and_spreads_a_point() -> None:
    flat = torch.full((1, 4, 64, 64), 0.3)
    assert torch.allclose(blur(flat, 3.0), flat, atol=1e-5)  # a kernel sums to 1 up to float32 rounding
    point = torch.zeros(1, 4, 64, 64)
    point[:, :, 32, 32] = 1
    spread = blur(point, 2.0)
    assert spread.max() < 0.05
    assert abs(spread[0, 0].sum().item() - 1) < 1e-4


def test_shuffled_tiles_keep_every_pixel_of_the_sprite() -> None:
    sprite = torch.zeros(4, 64, 64)
    sprite[:, 17:50, 10:44] = torch.rand(4, 33, 34) * 0.5 + 0.5
    shuffled = shuffle_tiles(sprite, torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.flatten(1).sort().values, sprite.flatten(1).sort().values)
    assert not torch.equal(shuffled, sprite)
