"""A single-file checkpoint: loaded, masked, written again, and loaded by diffusers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_pipelines import tiny_sd

from fia import NeuronMask
from fia.cli import main
from fia.export.checkpoint import write_checkpoint
from fia.loading import load_pipeline


@pytest.fixture
def edited(checkpoint: Path, configs: str, folder: Path, tmp_path: Path) -> Path:
    """The checkpoint with the mask in it."""
    out = tmp_path / "edited.safetensors"
    assert (
        main(["apply", str(checkpoint), str(folder), "--format", "checkpoint", "--config", configs, "--out", str(out)])
        == 0
    )
    return out


def draw(pipe: StableDiffusionPipeline) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    return pipe("a church", generator=torch.Generator().manual_seed(3), num_inference_steps=2, output_type="np").images


def test_the_checkpoint_loads_as_the_model_it_was_made_of(checkpoint: Path, configs: str) -> None:
    pipe, original = load_pipeline(str(checkpoint), device="cpu", config=configs), tiny_sd().to(torch.float16)
    assert pipe.config._name_or_path == str(checkpoint)
    for part in ("unet", "vae", "text_encoder"):
        expected = getattr(original, part).state_dict()
        weights = getattr(pipe, part).state_dict()
        assert all(torch.equal(weights[name], weight.float()) for name, weight in expected.items()), part


def test_loaded_again_it_is_the_masked_model(checkpoint: Path, configs: str, edited: Path, mask: NeuronMask) -> None:
    again = StableDiffusionPipeline.from_single_file(str(edited), config=configs, dtype=torch.float32)
    expected = load_pipeline(str(checkpoint), device="cpu", config=configs)
    before = draw(expected)
    mask.apply(expected)
    for name, weight in expected.unet.state_dict().items():
        assert torch.equal(again.unet.state_dict()[name], weight), name
    assert np.array_equal(draw(again), draw(expected))
    assert not np.array_equal(draw(again), before)


def test_all_else_stays_but_for_averages_that_hold_what_is_pruned(
    checkpoint: Path, edited: Path, mask: NeuronMask
) -> None:
    old, new = load_file(checkpoint), load_file(edited)
    averaged = [name for name in old if name.startswith("model_ema.")]
    for name in averaged:
        del old[name]
    assert averaged
    assert old.keys() == new.keys()
    assert {name: tensor.dtype for name, tensor in old.items()} == {name: tensor.dtype for name, tensor in new.items()}
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert len(changed) == sum(len(indices) > 0 for indices in mask.pruned.values())
    assert all(name.endswith("ff.net.2.weight") for name in changed)
    assert sum(int((old[name] != new[name]).sum()) for name in changed) <= mask.number_pruned
    assert all((new[name][old[name] != new[name]] == 0).all() for name in changed)
    with safe_open(checkpoint, framework="pt") as before, safe_open(edited, framework="pt") as after:
        assert before.metadata() == after.metadata() != {}


def test_weights_that_are_not_where_they_should_be(
    checkpoint: Path, configs: str, mask: NeuronMask, tmp_path: Path
) -> None:
    pipe = load_pipeline(str(checkpoint), device="cpu", config=configs)
    other = load_file(checkpoint)
    other["model.diffusion_model.middle_block.1.transformer_blocks.0.ff.net.2.weight"] += 1
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="does not hold the weights of layer mid_block"):
        write_checkpoint(pipe, mask, tmp_path / "out.safetensors", tmp_path / "other.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_without_configs_those_of_this_kind_of_model_are_asked_for(checkpoint: Path, monkeypatch) -> None:
    asked = []

    def unreachable(source: str) -> None:
        asked.append(source)
        raise OSError("no route")

    monkeypatch.setattr(DiffusionPipeline, "load_config", unreachable)
    with pytest.raises(FileNotFoundError, match=r"cannot be loaded from stable-diffusion-v1-5/.*\(no route\)"):
        load_pipeline(str(checkpoint), device="cpu")
    assert asked == ["stable-diffusion-v1-5/stable-diffusion-v1-5"]
