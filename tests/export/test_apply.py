"""`fia apply` in its other formats, and what it refuses."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

from fia import NeuronMask
from fia.cli import main
from fia.edits.edited import load_edited
from fia.loading import load_pipeline


def test_the_denoiser_is_one_file_for_diffusers_and_evaluate(
    configs: str, folder: Path, mask: NeuronMask, tmp_path: Path
) -> None:
    out = tmp_path / "unet.safetensors"
    assert main(["apply", configs, str(folder), "--format", "denoiser", "--out", str(out), "--no-check-weights"]) == 0
    pipe = load_pipeline(configs, device="cpu")
    with load_edited(out).applied(pipe):
        evaluated = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    by_diffusers = UNet2DConditionModel.from_single_file(str(out), config=configs, subfolder="unet").state_dict()
    mask.apply(pipe, check_weights=False)
    for name, weight in pipe.unet.state_dict().items():
        assert torch.equal(evaluated[name], weight)
        assert torch.equal(by_diffusers[name], weight)


def test_a_patch_is_in_float16_unless_said_otherwise(configs: str, folder: Path, tmp_path: Path) -> None:
    for dtype, expected in (("auto", torch.float16), ("bfloat16", torch.bfloat16)):
        out = tmp_path / f"{dtype}.safetensors"
        arguments = ["apply", configs, str(folder), "--format", "patch", "--dtype", dtype, "--out", str(out)]
        assert main(arguments) == 2  # the weights are not those the mask was found in
        assert main([*arguments, "--no-check-weights"]) == 0
        assert {tensor.dtype for tensor in load_file(out).values()} == {expected}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "patch", "--out", "{out}/patch"], "give a name that ends in .safetensors"),
        (["--format", "checkpoint", "--out", "{out}/new.safetensors"], "is not a single file"),
        (["--config", "{model}", "--out", "{out}/new"], "is only for single-file checkpoints"),
        (["--out", "{out}"], "exists already"),
    ],
)
def test_refusals(
    arguments: list[str], message: str, configs: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [text.format(out=tmp_path, model=configs) for text in arguments]
    assert main(["apply", configs, str(folder), *given]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("new*"))


def test_a_checkpoint_keeps_its_types(checkpoint: Path, folder: Path, tmp_path: Path, capsys) -> None:
    arguments = ["--format", "checkpoint", "--dtype", "float16", "--out", str(tmp_path / "new.safetensors")]
    assert main(["apply", str(checkpoint), str(folder), *arguments]) == 2
    assert "a checkpoint keeps its own types" in capsys.readouterr().err
