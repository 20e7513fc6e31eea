"""The judge's lessons: what is ruined keeps its colours but not its shape."""

import torch

from fia.testbed.classifier import (
    HEADS,
    LABELS,
    UNKNOWN,
    UNRECOGNISABLE,
    ClassifierTask,
    build_classifier,
    judged_scenes,
    ruin,
    shuffle_tiles,
    split_heads,
)
from fia.testbed.scenes import Scenes
from fia.testbed.world import NO_SUBJECT, PLACE_NAMES, STYLE_NAMES, SUBJECTS


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_head_has_its_labels() -> None:
    assert HEADS["subject"][UNRECOGNISABLE] == "unrecognisable"
    assert HEADS["subject"][NO_SUBJECT] == "none"
    assert HEADS["place"] == PLACE_NAMES
    assert HEADS["style"] == (*STYLE_NAMES, "no style")
    assert HEADS["attribute"] == ("not smoking", "smoking")
    assert len(set(LABELS)) == len(LABELS)


def test_the_logits_are_those_of_the_heads_in_a_row() -> None:
    classifier = build_classifier()
    heads = split_heads(classifier(torch.zeros(2, 3, 64, 64)).logits)
    assert [head.shape for head in heads] == [(2, len(labels)) for labels in HEADS.values()]
    assert classifier.config.id2label[0] == "parachute"
    assert classifier.config.id2label[len(SUBJECTS) + 2] == PLACE_NAMES[0]


def test_about_a_quarter_of_the_subjects_is_ruined_and_labelled_so() -> None:
    images, (subjects, places, styles, smoking) = judged_scenes(Scenes(), 400, generator())
    share = (subjects == UNRECOGNISABLE).float().mean().item()
    assert 0.15 < share < 0.3  # a quarter of seven eighths; 400 draws deviate by 0.02
    assert images.shape == (400, 3, 64, 64)
    assert images.abs().max() <= 1
    assert places.max() < len(PLACE_NAMES)
    assert styles.max() <= len(STYLE_NAMES)
    assert (smoking[subjects == UNRECOGNISABLE] == UNKNOWN).all()
    assert set(smoking[subjects != UNRECOGNISABLE].tolist()) == {0, 1}


def test_the_loss_is_finite_even_where_a_head_has_no_label() -> None:
    task = ClassifierTask(build_classifier(), Scenes(), 1)
    assert all(task(step).isfinite() for step in range(8))  # one scene at a time: a quarter has no attribute


def test_only_chosen_sprites_are_ruined_and_empty_ones_stay_empty() -> None:
    scenes = Scenes()
    subjects = torch.tensor([0, 0, NO_SUBJECT])
    placed = scenes.place_sprites(scenes.sprites(subjects, torch.zeros(3, dtype=torch.bool)), generator())
    ruined = ruin(placed.clone(), torch.tensor([True, False, True]), generator())
    assert not torch.equal(ruined[0], placed[0])
    assert torch.equal(ruined[1:], placed[1:])


def test_shuffled_tiles_keep_every_pixel_of_the_sprite() -> None:
    sprite = torch.zeros(4, 64, 64)
    sprite[:, 17:50, 10:44] = torch.rand(4, 33, 34) * 0.5 + 0.5
    shuffled = shuffle_tiles(sprite, generator())
    assert torch.equal(shuffled.flatten(1).sort().values, sprite.flatten(1).sort().values)
    assert not torch.equal(shuffled, sprite)
