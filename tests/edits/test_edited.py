"""What other tools made: whole folders, U-Nets, and LoRAs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from peft import LoraConfig
from safetensors.torch import save_file
from tiny_transformers import tiny_pixart

from fia.edits.edited import load_edited
from fia.edits.weight_edit import WeightEdit


def draw(pipe: StableDiffusionPipeline) -> np.ndarray:
    return pipe("a church", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="np").images


@pytest.fixture
def edited(pipe: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """A copy of `pipe` in which one bias of four numbers is another."""
    copy = StableDiffusionPipeline(**pipe.components, requires_safety_checker=False)
    copy.register_modules(unet=type(pipe.unet).from_config(pipe.unet.config))
    copy.unet.load_state_dict(pipe.unet.state_dict())
    copy.unet.conv_out.bias.data += 0.5
    return copy


@pytest.mark.parametrize("form", ["folder", "unet", "file"])
def test_every_form_of_an_edit_draws_what_the_edited_model_draws(
    pipe: StableDiffusionPipeline, edited: StableDiffusionPipeline, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "edited"
    if form == "folder":
        edited.save_pretrained(path)
    elif form == "unet":
        edited.unet.save_pretrained(path)
    else:
        path = tmp_path / "edited.safetensors"
        save_file({"conv_out.bias": edited.unet.conv_out.bias.data}, path)
    before, expected = draw(pipe), draw(edited)
    with load_edited(path).applied(pipe) as drawn_with:
        assert np.array_equal(draw(drawn_with), expected)
    assert not np.array_equal(before, expected)
    assert np.array_equal(draw(pipe), before)
    assert load_edited(path).changed_percent(pipe) == 400 / sum(value.numel() for value in pipe.unet.parameters())


@pytest.mark.parametrize("shard_size", ["10GB", "20KB"])
def test_a_transformer_is_read_whole_and_in_shards(tmp_path: Path, shard_size: str) -> None:
    pipe = tiny_pixart()
    edited = type(pipe.transformer).from_config(pipe.transformer.config)
    edited.save_pretrained(tmp_path, max_shard_size=shard_size)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1 or shard_size == "20KB"
    before, wanted = pipe.transformer.state_dict(), edited.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    with load_edited(tmp_path).applied(pipe):
        assert all(torch.equal(value, wanted[name]) for name, value in pipe.transformer.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in pipe.transformer.state_dict().items())


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    tiny_pixart().transformer.save_pretrained(tmp_path, max_shard_size="20KB")
    shard = sorted(tmp_path.glob("*.safetensors"))[-1]
    shard.unlink()
    with pytest.raises(ValueError, match=shard.name):
        load_edited(tmp_path)


def test_a_pipeline_that_takes_no_lora_says_so(tmp_path: Path) -> None:
    save_file({"transformer.x.lora_A.weight": torch.zeros(1)}, tmp_path / "lora.safetensors")
    with (
        pytest.raises(ValueError, match="diffusers cannot load one into a PixArtSigmaPipeline"),
        load_edited(tmp_path / "lora.safetensors").applied(tiny_pixart()),
    ):
        pass


def test_a_lora_is_loaded_and_unloaded(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    donor = type(pipe.unet).from_config(pipe.unet.config)
    donor.add_adapter(LoraConfig(r=2, target_modules=["to_k"], init_lora_weights=False))
    from peft.utils import get_peft_model_state_dict

    StableDiffusionPipeline.save_lora_weights(tmp_path, get_peft_model_state_dict(donor))
    file = tmp_path / "pytorch_lora_weights.safetensors"
    before, weights = draw(pipe), {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    with load_edited(file).applied(pipe) as drawn_with:
        assert not np.array_equal(draw(drawn_with), before)
    assert np.array_equal(draw(pipe), before)
    assert pipe.unet.state_dict().keys() == weights.keys()
    added = sum(value.numel() for name, value in donor.named_parameters() if "lora" in name)
    assert load_edited(file).changed_percent(pipe) == 100 * added / sum(
        value.numel() for value in pipe.unet.parameters()
    )


def test_a_lora_of_another_model_is_refused_and_leaves_no_trace(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_k.lora_{}.weight"
    save_file({name.format(part): torch.ones(2, 2) for part in "AB"}, tmp_path / "lora.safetensors")
    before = {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    with pytest.raises(ValueError, match=r"lora\.safetensors does not fit the model: .*size mismatch"):
        load_edited(tmp_path / "lora.safetensors").check(pipe)
    assert {name: value.tolist() for name, value in pipe.unet.state_dict().items()} == {
        name: value.tolist() for name, value in before.items()
    }


@pytest.fixture
def model(pipe: StableDiffusionPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `pipe`, that must not be loaded."""
    pipe.save_pretrained(tmp_path / "model")
    monkeypatch.setattr(type(pipe), "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    return tmp_path / "model"


def test_a_folder_is_checked_and_compared_without_loading_it(pipe: StableDiffusionPipeline, model: Path) -> None:
    edit = load_edited(model)
    edit.check(pipe)
    assert edit.changed_percent(pipe) == 0
    pipe.unet.half()  # the folder's values are rounded as loading them would
    assert edit.changed_percent(pipe) == 0


def test_a_folder_of_another_model_is_refused_before_it_is_loaded(
    pipe: StableDiffusionPipeline, xl_pipe: StableDiffusionXLPipeline, model: Path
) -> None:
    edit = load_edited(model)
    with pytest.raises(ValueError, match="model denoises with something else, but the model with a PixArtTransformer"):
        edit.check(tiny_pixart())
    with pytest.raises(ValueError, match=r"The edit is for another model: .* in the model"):
        edit.check(xl_pipe)
    (model / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ValueError, match="unet cannot be read as safetensors"):
        edit.check(pipe)
    shutil.rmtree(model / "tokenizer")
    with pytest.raises(ValueError, match="model is not a whole model: it has no tokenizer"):
        edit.check(pipe)


def test_what_is_no_edit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no edited model"):
        load_edited(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "text", tmp_path):
        with pytest.raises(ValueError, match="no diffusers folder, no denoiser's folder, and no safetensors file"):
            load_edited(path)


def test_weights_of_another_model_are_refused(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    save_file({"conv_out.bias": torch.zeros(7)}, tmp_path / "other.safetensors")
    edit = load_edited(tmp_path / "other.safetensors")
    assert isinstance(edit, WeightEdit)
    with pytest.raises(ValueError, match=r"conv_out.bias is \(7,\) in it, \(4,\) in the model"), edit.applied(pipe):
        pass
