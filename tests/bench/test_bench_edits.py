"""Edits are made once, and read again as they were."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import NeuronMask, Settings
from fia.bench.edit_store import OURS, EditStore
from fia.bench.tasks import objects_task
from fia.edits.weight_edit import WeightEdit
from fia.methods import FIA, UCE, NegativePrompt
from fia.methods.negative_prompt import NegativePromptEdit

METHODS = {
    OURS: FIA(Settings(num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)),
    "UCE": UCE(),
    "negative prompt": NegativePrompt(),
}


def test_what_was_made_is_not_made_again(
    pipe: StableDiffusionPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = EditStore(tmp_path, pipe, objects_task(2), METHODS, "model")
    made = {name: edits.make(name) for name in METHODS}
    for method in (FIA, UCE):
        monkeypatch.setattr(method, "unlearn", lambda *_: pytest.fail("made again"))
    again = {name: edits.make(name) for name in METHODS}
    assert {name: one.costs for name, one in again.items()} == {name: one.costs for name, one in made.items()}
    mask, same = made[OURS].edit, again[OURS].edit
    assert isinstance(mask, NeuronMask)
    assert isinstance(same, NeuronMask)
    assert all(torch.equal(mask.pruned[name], same.pruned[name]) for name in mask.shapes)
    weights, others = made["UCE"].edit, again["UCE"].edit
    assert isinstance(weights, WeightEdit)
    assert isinstance(others, WeightEdit)
    assert all(torch.equal(weight, others.weights[name]) for name, weight in weights.weights.items())
    assert again["negative prompt"].edit == NegativePromptEdit("parachute, golf ball")


def test_the_random_mask_is_as_large_as_ours(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    edits = EditStore(tmp_path, pipe, objects_task(2), METHODS, "model")
    random = edits.make("random mask")
    assert isinstance(random.edit, NeuronMask)
    assert random.edit.number_pruned == edits.mask().number_pruned
    assert random.costs == {}


def test_an_edit_with_other_settings_is_not_taken_for_the_same(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    EditStore(tmp_path, pipe, objects_task(2), METHODS, "model").make("UCE")
    for methods, model in (({"UCE": UCE(ridge=2.0)}, "model"), (METHODS, "another")):
        with pytest.raises(ValueError, match="holds results made with other"):
            EditStore(tmp_path, pipe, objects_task(2), methods, model).make("UCE")
