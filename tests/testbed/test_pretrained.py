"""What ships with the package: the judge judges shapes, and the CLIP knows what is in a picture."""

import pytest
import torch

from fia.prompts import fill
from fia.testbed import load_classifier, load_clip, load_testbed
from fia.testbed.classifier import classify, heads_of, ruin
from fia.testbed.pretrained import FOLDER
from fia.testbed.scenes import Scenes
from fia.testbed.styles import blur
from fia.testbed.world import NO_STYLE, NO_SUBJECT, OBJECTS, SMALL, SUBJECTS

pytestmark = pytest.mark.slow

NUMBER = 700
HEADS = heads_of(SMALL)
UNRECOGNISABLE = HEADS["subject"].index("unrecognisable")


def test_the_model_stays_within_forty_megabytes() -> None:
    assert sum(file.stat().st_size for file in (FOLDER / "model").rglob("*.safetensors")) <= 40e6


def test_the_judge_names_renders_it_never_saw(scenes: Scenes) -> None:
    batch = scenes.sample(NUMBER, torch.Generator().manual_seed(1), subjects=torch.arange(NUMBER) % (NO_SUBJECT + 1))
    answers = classify(load_classifier(), batch.images, HEADS)
    labels = {"subject": batch.subjects, "place": batch.places, "style": batch.styles, "attribute": batch.attributes}
    for head, label in labels.items():
        assert (answers[head] == label).float().mean() >= 0.99
    persons = (batch.subjects >= len(OBJECTS)) & (batch.subjects != NO_SUBJECT)
    assert (answers["attribute"] == batch.attributes)[persons].float().mean() >= 0.97
    styled = batch.styles != NO_STYLE
    for head in ("subject", "style"):
        assert (answers[head] == labels[head])[styled].float().mean() >= 0.97


def ruined_scenes(scenes: Scenes, smeared: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns subjects and the judge's answers on natural scenes whose subjects are destroyed."""
    generator = torch.Generator().manual_seed(2)
    subjects = torch.arange(NUMBER) % NO_SUBJECT

    def alter(sprites: torch.Tensor) -> torch.Tensor:
        return blur(sprites, 4.0) if smeared else ruin(sprites, torch.ones(NUMBER, dtype=torch.bool), generator)

    styles = torch.full((NUMBER,), NO_STYLE)
    images = scenes.sample(NUMBER, generator, subjects=subjects, styles=styles, alter=(alter, alter)).images
    return subjects, classify(load_classifier(), images, HEADS)["subject"]


@pytest.mark.parametrize("smeared", [True, False])
def test_the_judge_is_not_fooled_by_colour_alone(scenes: Scenes, smeared: bool) -> None:
    subjects, answers = ruined_scenes(scenes, smeared)
    assert (answers == subjects).float().mean() <= 0.1
    # Nearly transparent things may also count as absent.
    assert ((answers == UNRECOGNISABLE) | (answers == NO_SUBJECT)).float().mean() >= 0.9


def test_the_clip_finds_the_caption_of_a_picture(scenes: Scenes) -> None:
    clip, tokenizer = load_clip()
    subjects = torch.arange(NUMBER) % NO_SUBJECT
    nobody_smokes = torch.zeros(NUMBER, dtype=torch.long)
    batch = scenes.sample(NUMBER, torch.Generator().manual_seed(3), subjects=subjects, attributes=nobody_smokes)
    captions = [fill("a {subject}", subject=subject.name) for subject in SUBJECTS]
    tokens = tokenizer(captions, padding="max_length", return_tensors="pt")
    with torch.no_grad():
        guesses = clip(**tokens, pixel_values=batch.images).logits_per_image.argmax(dim=1)
    assert (guesses == batch.subjects).float().mean() >= 0.9


def test_it_loads_without_bars_and_leaves_those_of_others_on(capfd):
    from diffusers.utils import logging

    logging.enable_progress_bar()
    load_testbed()
    assert "%|" not in capfd.readouterr().err
    assert logging.is_progress_bar_enabled()
