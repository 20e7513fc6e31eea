"""The training loop: a run that was stopped and resumed equals one that was not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fia.testbed.stage import Recipe, inherit, seeded, train_stage

RECIPE = Recipe(images=40, batch_size=4, learning_rate=0.05, warmup_steps=2)


def make_model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def make_loss(model: nn.Linear, fail_at: int | None = None):
    calls = 0

    def loss(step: int) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == fail_at:
            raise KeyboardInterrupt
        inputs = torch.randn(RECIPE.batch_size, 3, generator=seeded("toy", step))
        return (model(inputs) - inputs.sum(1, keepdim=True)).float().square().mean()

    return loss


def test_learning_rate_warms_up_holds_and_decays() -> None:
    recipe = Recipe(images=1000, batch_size=1, learning_rate=1.0, warmup_steps=10)
    assert recipe.learning_rate_at(0) == pytest.approx(0.1)
    assert recipe.learning_rate_at(500) == 1.0
    assert recipe.learning_rate_at(900) == pytest.approx(0.5)
    assert recipe.learning_rate_at(999) == pytest.approx(0.05)


def test_learning_rate_warms_up_anew_where_a_training_goes_on_without_its_optimizer() -> None:
    recipe = Recipe(images=1000, batch_size=1, learning_rate=1.0, warmup_steps=10)
    assert recipe.learning_rate_at(400, start=400) == pytest.approx(0.1)
    assert recipe.learning_rate_at(409, start=400) == 1.0
    assert recipe.learning_rate_at(900, start=400) == pytest.approx(0.5)


def test_a_training_goes_on_after_the_losses_of_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.testbed.stage.STEPS_BETWEEN_LOSSES", 2)
    model, seen = make_model(), []
    toy = make_loss(model)

    def loss(step: int) -> Tensor:
        seen.append(step)
        return toy(step)

    earlier = [(0, 3.0), (2, 2.0), (4, 1.0)]
    losses = train_stage("toy", model, loss, RECIPE, tmp_path / "toy.pt", {}, earlier)
    assert seen == [6, 7, 8, 9]
    assert losses[:3] == earlier
    assert [step for step, _ in losses[3:]] == [6, 8]


def test_names_that_an_earlier_model_knows_keep_their_weights() -> None:
    earlier, model = (nn.Sequential(nn.Embedding(number, 4), nn.Linear(4, 4)) for number in (2, 3))
    untrained = model[0].weight[2].clone()
    inherit(model, earlier, {"dog": 0, "cat": 1, "robot": 2}, {"cat": 0, "dog": 1})
    assert torch.equal(model[0].weight, torch.stack([earlier[0].weight[1], earlier[0].weight[0], untrained]))
    assert torch.equal(model[1].weight, earlier[1].weight)
    assert torch.equal(model[1].bias, earlier[1].bias)


def test_a_training_that_would_not_go_on_is_refused(tmp_path: Path) -> None:
    model = make_model()
    with pytest.raises(ValueError, match=r"images=40 is no more than toy has already seen \(160\).*--toy.images"):
        train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {}, [(0, 1.0), (20, 1.0)])


def test_a_training_that_goes_on_is_resumed_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.testbed.stage.SECONDS_BETWEEN_CHECKPOINTS", -1)
    monkeypatch.setattr("fia.testbed.stage.STEPS_BETWEEN_LOSSES", 2)
    earlier = [(0, 3.0), (2, 2.0)]
    whole, parts, fresh = make_model(), make_model(), make_model()
    losses = train_stage("toy", whole, make_loss(whole), RECIPE, tmp_path / "whole.pt", {}, earlier)
    with pytest.raises(KeyboardInterrupt):
        train_stage("toy", parts, make_loss(parts, fail_at=4), RECIPE, tmp_path / "parts.pt", {}, earlier)
    assert train_stage("toy", fresh, make_loss(fresh), RECIPE, tmp_path / "parts.pt", {}, earlier) == losses
    assert torch.equal(whole.weight, fresh.weight)


def test_training_lowers_the_loss_and_leaves_the_average(tmp_path: Path) -> None:
    model = make_model()
    before = make_loss(model)(999).item()
    train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {})
    assert make_loss(model)(999).item() < before
    assert not model.training


@pytest.mark.parametrize("is_slow", [False, True])
def test_bfloat16_where_the_processor_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_slow: bool) -> None:
    monkeypatch.setattr("fia.models.half_precision.is_slow", lambda _device, _dtype: is_slow)
    model, types = make_model(), set()
    model.register_forward_hook(lambda _module, _args, output: types.add(output.dtype))
    train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {})
    assert types == {torch.float32 if is_slow else torch.bfloat16}


def test_resumed_training_equals_uninterrupted_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.testbed.stage.SECONDS_BETWEEN_CHECKPOINTS", -1)
    monkeypatch.setattr("fia.testbed.stage.STEPS_BETWEEN_LOSSES", 2)
    whole = make_model()
    losses = train_stage("toy", whole, make_loss(whole), RECIPE, tmp_path / "whole.pt", {})
    parts = make_model()
    with pytest.raises(KeyboardInterrupt):
        train_stage("toy", parts, make_loss(parts, fail_at=6), RECIPE, tmp_path / "parts.pt", {})
    fresh = make_model()
    resumed = train_stage("toy", fresh, make_loss(fresh), RECIPE, tmp_path / "parts.pt", {})
    assert torch.equal(whole.weight, fresh.weight)
    assert resumed == losses
    assert [step for step, _ in losses] == [0, 2, 4, 6, 8]


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    model = make_model()
    train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {})
    again = make_model()
    train_stage("toy", again, make_loss(again, fail_at=1), RECIPE, tmp_path / "toy.pt", {})
    assert torch.equal(model.weight, again.weight)


def test_a_checkpoint_of_another_recipe_is_refused_but_more_images_are_not(tmp_path: Path) -> None:
    model = make_model()
    train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {})
    train_stage("toy", model, make_loss(model), replace(RECIPE, images=48), tmp_path / "toy.pt", {})
    with pytest.raises(ValueError, match="Only the number of images may change"):
        train_stage("toy", model, make_loss(model), replace(RECIPE, learning_rate=1.0), tmp_path / "toy.pt", {})


def test_a_checkpoint_that_builds_on_something_else_is_refused(tmp_path: Path) -> None:
    model = make_model()
    train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {"clip.images": 8})
    with pytest.raises(ValueError, match=r"'clip\.images': 8"):
        train_stage("toy", model, make_loss(model), RECIPE, tmp_path / "toy.pt", {"clip.images": 16})


@pytest.mark.parametrize("field", ["images", "batch_size", "learning_rate", "warmup_steps"])
def test_numbers_that_make_no_sense_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}=0; it must be above zero"):
        replace(RECIPE, **{field: 0})
