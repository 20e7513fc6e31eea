"""Models by name: what is wrong is said in one line, before anything is loaded."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_pipelines import tiny_sd

from fia.loading import load_pipeline


def test_the_testbed_loads_in_any_type():
    pipe = load_pipeline("testbed", device="cpu", dtype="bfloat16")
    assert pipe.unet.dtype == torch.bfloat16
    assert pipe.config._name_or_path == "testbed"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("testbed", {"dtype": "int8"}, "dtype 'int8' is not one of auto, float32, float16, bfloat16"),
        ("testbed", {"device": "abacus"}, "device 'abacus' cannot be used here"),
        ("no/such/folder", {}, "There is no folder or file 'no/such/folder'"),
        ("./testbed", {}, "There is no folder or file './testbed'.*Did you mean 'testbed'"),
        ("", {}, "The name of the model is empty"),
    ],
)
def test_errors_name_the_value(model, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_pipeline(model, **options)


def test_only_a_folder_with_a_similar_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "sunny").mkdir()
    (tmp_path / "sunny" / "model_index.json").touch()
    with pytest.raises(FileNotFoundError, match=f"Did you mean '{tmp_path / 'sunny'}'"):
        load_pipeline(str(tmp_path / "suny"))
    with pytest.raises(FileNotFoundError) as error:  # however much of the path is the same
        load_pipeline(str(tmp_path / "cloud"))
    assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_cpu_gets_float32_whatever_it_is_called(device: str) -> None:
    assert load_pipeline("testbed", device=device).unet.dtype == torch.float32


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
def test_pickles_are_not_loaded(suffix: str, tmp_path: Path) -> None:
    torch.save({}, tmp_path / f"model{suffix}")
    with pytest.raises(ValueError, match="are pickles, which can run code"):
        load_pipeline(str(tmp_path / f"model{suffix}"))


@pytest.mark.parametrize("config", [None, "."])
def test_a_checkpoint_that_is_cut_off(tmp_path: Path, config: str | None) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ValueError, match="is not a safetensors file, or is cut off"):
        load_pipeline(str(tmp_path / "model.safetensors"), config=config)


def test_a_checkpoint_needs_configs(tmp_path: Path) -> None:
    save_file({"some.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="Name a diffusers folder of the same kind of model"):
        load_pipeline(str(tmp_path / "model.safetensors"), config=str(tmp_path))


def test_a_checkpoint_with_parts_missing(tmp_path: Path) -> None:
    tiny_sd().save_pretrained(tmp_path / "configs")
    shutil.rmtree(tmp_path / "configs" / "text_encoder")
    save_file({"some.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="does not hold a whole model"):
        load_pipeline(str(tmp_path / "model.safetensors"), config=str(tmp_path / "configs"))
