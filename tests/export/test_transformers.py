"""The commands on a diffusion transformer in a folder, from finding to an edited model."""

from pathlib import Path

import pytest
import torch
from tiny_transformers import tiny_transformer

from fia import NeuronMask
from fia.cli import main
from fia.edits.edited import load_edited
from fia.loading import load_pipeline

FAST = ["--num-inference-steps", "3", "--saliency-steps", "1", "--prompts-per-concept", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-sd3"
    tiny_transformer("sd3").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def mask_folder(model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("masks") / "church"
    assert main(["forget", model, "church", "--out", str(folder), *FAST]) == 0
    return str(folder)


@pytest.mark.parametrize("kind", ["folder", "denoiser"])
def test_an_edited_transformer_is_written_and_loaded_again(
    model: str, mask_folder: str, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / ("edited" if kind == "folder" else "edited.safetensors")
    assert main(["apply", model, mask_folder, "--format", kind, "--out", str(out)]) == 0
    pipe, mask = load_pipeline(model, device="cpu"), NeuronMask.from_pretrained(mask_folder)
    mask.apply(pipe)
    expected = {name: weight.clone() for name, weight in pipe.transformer.state_dict().items()}
    mask.remove(pipe)
    with load_edited(out).applied(pipe) as edited:
        for name, weight in edited.transformer.state_dict().items():
            assert torch.equal(weight, expected[name])


def test_a_patch_is_for_u_nets_alone(
    model: str, mask_folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", model, mask_folder, "--format", "patch", "--out", str(tmp_path / "new.safetensors")]) == 2
    said = capsys.readouterr().err
    assert "denoises with SD3Transformer2DModel; this works with a UNet2DConditionModel" in said
    assert "--format folder" in said
    assert not list(tmp_path.glob("new*"))


def test_pictures_are_drawn_with_and_without_the_mask(model: str, mask_folder: str, tmp_path: Path) -> None:
    arguments = ["--mask", mask_folder, "--out", str(tmp_path), "--num-inference-steps", "2"]
    assert main(["generate", model, "a church", *arguments]) == 0
    assert len(list(tmp_path.glob("prompt0-seed0-*.png"))) == 2
