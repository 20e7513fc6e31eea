"""A mask as a plain LoRA: what diffusers alone makes of it is the solution with everything free."""

from dataclasses import replace

import pytest
import torch
from made_rewriting import with_rewriting
from safetensors.torch import load_file
from tiny_transformers import tiny_transformer

import fia
from fia.cli import main
from fia.errors import UsageError
from fia.export.lora import RIDGE, write_lora
from fia.masks.solve import solve_whole
from fia.models.layers import find_layers

pytestmark = pytest.mark.slow

pytest.importorskip("peft")
FAST = {"num_inference_steps": 3, "saliency_steps": 1, "prompts_per_concept": 2, "progress": False}


def found(pipe):
    return fia.find(pipe, ["church", "tench"], retained_words=0, retain_weight=0.5, **FAST)


def solution(mask, name):
    """Returns D of a layer with every connection free."""
    rewriting = mask.with_retain_weight(mask.rewriting.retain_weight, ridge=RIDGE).rewriting
    return solve_whole(rewriting.quadratic(name), rewriting.response(name, mask.strengths)).float()


@pytest.mark.parametrize("keys", ["diffusers", "webui"])
@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
def test_diffusers_alone_loads_it_and_every_weight_gets_the_solution(fixture, keys, request, tmp_path):
    pipe = request.getfixturevalue(fixture)
    mask = found(pipe)
    size = write_lora(pipe, mask, tmp_path / "lora.safetensors", rank=64, keys=keys)
    assert size.share == pytest.approx(1)
    before = {name: layer.weight.clone() for name, layer in find_layers(pipe.unet, sites="both").items()}
    pipe.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    after = find_layers(pipe.unet, sites="both")
    for name, weight in before.items():
        torch.testing.assert_close(after[name].weight, weight + solution(mask, name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
def test_the_same_picture_from_the_lora_as_from_the_mask(fixture, request, tmp_path):
    """A mask with every connection of its layers, and the LoRA's ridge, does what the LoRA does."""
    pipe = request.getfixturevalue(fixture)
    mask = found(pipe)
    everything = {name: torch.arange(o * i, dtype=torch.int32) for name, (o, i) in mask.shapes.items()}
    mask = replace(mask, neurons=dict.fromkeys(mask.concepts, everything), agnostic_ratio=1.01)
    mask = mask.with_retain_weight(mask.rewriting.retain_weight, ridge=RIDGE)
    write_lora(pipe, mask, tmp_path / "lora.safetensors", rank=64)

    def draw():
        generator = torch.Generator().manual_seed(0)
        return pipe("a church", generator=generator, num_inference_steps=2, output_type="pt").images

    untouched = draw()
    with mask.applied(pipe):
        expected = draw()
    pipe.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    torch.testing.assert_close(draw(), expected, rtol=0, atol=2e-3)
    assert (expected - untouched).abs().max() > 0.01
    pipe.unload_lora_weights()
    assert torch.equal(draw(), untouched)


def test_the_rank_keeps_what_it_says(pipe, mask, tmp_path):
    mask = with_rewriting(mask)
    own = write_lora(pipe, mask, tmp_path / "own.safetensors")
    assert own.share >= 0.99
    one = write_lora(pipe, mask, tmp_path / "one.safetensors", rank=1)
    assert one.share < own.share
    tensors = load_file(tmp_path / "one.safetensors")
    assert {weight.shape[0] for name, weight in tensors.items() if ".lora_down" in name} == {1}


def test_a_unet_has_the_names_that_every_tool_reads(pipe, mask, tmp_path):
    write_lora(pipe, with_rewriting(mask), tmp_path / "web.safetensors", rank=2)
    tensors = load_file(tmp_path / "web.safetensors")
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_ff_net_2"
    assert {key for key in tensors if key.startswith(name)} == {
        f"{name}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")
    }
    assert tensors[f"{name}.alpha"] == tensors[f"{name}.lora_down.weight"].shape[0]


@pytest.mark.parametrize("family", ["flux", "sd3", "sana"])
def test_transformers_too(family, tmp_path):
    """FLUX's single blocks project an attention with the same linear, and Sana has convolutions."""
    pipe = tiny_transformer(family)
    mask = fia.find(pipe, "tench", retained_words=0, **FAST)
    write_lora(pipe, mask, tmp_path / "lora.safetensors", rank=16)
    layers = find_layers(pipe.transformer, sites="both")
    before = {name: layer.weight.clone() for name, layer in layers.items()}
    pipe.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    for name, layer in find_layers(pipe.transformer, sites="both").items():
        expected = before[name] + solution(mask, name).view_as(before[name])
        torch.testing.assert_close(layer.weight.view_as(expected), expected, rtol=1e-3, atol=1e-4)


def test_a_mask_of_zeros_is_no_lora(pipe, mask, tmp_path):
    with pytest.raises(UsageError, match="--format patch"):
        write_lora(pipe, mask, tmp_path / "lora.safetensors")
    with pytest.raises(UsageError, match="rank=0"):
        write_lora(pipe, with_rewriting(mask), tmp_path / "lora.safetensors", rank=0)
    assert not list(tmp_path.iterdir())


def test_the_command(pipe, mask, tmp_path, capsys):
    pipe.save_pretrained(tmp_path / "model")
    with_rewriting(mask).save_pretrained(tmp_path / "mask")
    arguments = ["apply", str(tmp_path / "model"), str(tmp_path / "mask"), "--out", str(tmp_path / "x.safetensors")]
    assert main([*arguments, "--format", "lora", "--rank", "3"]) == 0
    assert "x.safetensors, as a LoRA. Its rank is 3, which keeps" in capsys.readouterr().out
    assert {weight.dtype for weight in load_file(tmp_path / "x.safetensors").values()} == {torch.float16}
    (tmp_path / "x.safetensors").unlink()
    assert main([*arguments, "--format", "patch", "--rank", "3"]) == 2
    assert "--rank and --lora-keys are for --format lora" in capsys.readouterr().err
