"""The judge's lessons: what is ruined keeps its colours but not its shape."""

import pytest
import torch

from fia.testbed.classifier import (
    UNKNOWN,
    ClassifierTask,
    build_classifier,
    heads_of,
    judged_scenes,
    ruin,
    shuffle_tiles,
    split_heads,
)
from fia.testbed.scenes import Scenes
from fia.testbed.stage import seeded
from fia.testbed.world import NO_SUBJECT, PLACE_NAMES, SMALL, STYLE_NAMES, SUBJECTS

HEADS = heads_of(SMALL)
UNRECOGNISABLE = NO_SUBJECT + 1


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_head_has_its_labels() -> None:
    assert HEADS["subject"][UNRECOGNISABLE] == "unrecognisable"
    assert HEADS["subject"][NO_SUBJECT] == "none"
    assert HEADS["place"] == PLACE_NAMES
    assert HEADS["style"] == (*STYLE_NAMES, "no style")
    assert HEADS["attribute"] == ("not smoking", "smoking")


def test_the_logits_are_those_of_the_heads_in_a_row() -> None:
    classifier = build_classifier(HEADS)
    heads = split_heads(classifier(torch.zeros(2, 3, 64, 64)).logits, HEADS)
    assert {head: logits.shape for head, logits in heads.items()} == {h: (2, len(names)) for h, names in HEADS.items()}
    assert classifier.config.id2label[0] == "parachute"
    assert classifier.config.id2label[len(SUBJECTS) + 2] == PLACE_NAMES[0]


@pytest.mark.slow
def test_labels_are_those_of_the_scenes_but_for_what_is_ruined(scenes: Scenes) -> None:
    images, labels = judged_scenes(scenes, 400, generator())
    assert images.shape == (400, 3, 64, 64)
    assert images.abs().max() <= 1
    plain_generator = generator()
    torch.rand(400, generator=plain_generator)  # which subjects are ruined is decided first
    plain = scenes.sample(400, plain_generator)
    ruined = labels["subject"] == UNRECOGNISABLE
    assert 0.15 < ruined.float().mean().item() < 0.3  # a quarter of seven eighths; 400 draws deviate by 0.02
    assert torch.equal(labels["subject"][~ruined], plain.subjects[~ruined])
    assert torch.equal(labels["attribute"][~ruined], plain.attributes[~ruined])
    assert (labels["attribute"][ruined] == UNKNOWN).all()


def test_the_loss_is_finite_even_where_a_head_has_no_label(scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.testbed.classifier.RUINED", 1.0)
    task = ClassifierTask(build_classifier(HEADS), scenes, 1)
    _, labels = judged_scenes(scenes, 1, seeded("classifier", 0))
    assert labels["attribute"].item() == UNKNOWN
    loss = task(0)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())


def test_only_chosen_sprites_are_ruined_and_empty_ones_stay_empty(scenes: Scenes) -> None:
    subjects = torch.tensor([0, 0, NO_SUBJECT])
    placed = scenes.place_sprites(scenes.sprites(subjects, torch.zeros(3, dtype=torch.long)), generator())
    ruined = ruin(placed.clone(), torch.tensor([True, False, True]), generator())
    assert not torch.equal(ruined[0], placed[0])
    assert torch.equal(ruined[1:], placed[1:])


def test_shuffled_tiles_keep_every_pixel_of_the_sprite() -> None:
    sprite = torch.zeros(4, 64, 64)
    sprite[:, 17:50, 10:44] = torch.rand(4, 33, 34) * 0.5 + 0.5
    shuffled = shuffle_tiles(sprite, generator())
    assert torch.equal(shuffled.flatten(1).sort().values, sprite.flatten(1).sort().values)
    assert not torch.equal(shuffled, sprite)
