"""Offloaded, compiled, in other types, with adapters: what is found and pruned there is the same, or refused."""

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from bits import bits
from peft import LoraConfig
from tiny_transformers import tiny_transformer
from torch import nn
from warned import warned

import fia
from fia.models.layers import hash_weights, maskable_layers

pytestmark = pytest.mark.slow

FAST = {"edit": "zero", "num_inference_steps": 3, "saliency_steps": 1, "prompts_per_concept": 2, "progress": False}
FAMILIES = pytest.mark.parametrize("family", ["pixart", "flux", "sana", "qwen_image"])


def fused(mask):
    """What a mask prunes, in an order that can be compared."""
    return {name: pruned.tolist() for name, pruned in mask.pruned.items()}


def offload_models(pipe):
    """Has the models take turns on the device."""
    pipe.enable_model_cpu_offload(device="cpu")


def offload_layers(pipe):
    """Has the layers take turns, as `enable_sequential_cpu_offload` does, which insists on a GPU."""
    for model in pipe.components.values():
        if isinstance(model, nn.Module):
            cpu_offload(model, torch.device("cpu"), offload_buffers=len(model._parameters) > 0)


@FAMILIES
@pytest.mark.parametrize("offload", [offload_models, offload_layers])
def test_an_offloaded_model_has_the_same_neurons_and_is_pruned_for_real(family, offload):
    expected = fia.find(tiny_transformer(family), "tench", **FAST)
    pipe = tiny_transformer(family)
    offload(pipe)
    mask = fia.forget(pipe, "tench", **FAST)
    assert fused(mask) == fused(expected)
    assert mask.weights_hash == expected.weights_hash
    assert mask.provenance[0]["device"] == "cpu"
    plain = tiny_transformer(family)
    expected.apply(plain)
    assert torch.equal(draw(pipe), draw(plain))
    mask.remove(pipe)
    assert torch.equal(draw(pipe), draw(tiny_transformer(family)))
    pipe.remove_all_hooks()
    assert hash_weights(maskable_layers(pipe.transformer)) == expected.weights_hash


def draw(pipe):
    """Two steps from a seed."""
    pipe.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(0), "output_type": "latent"}
    return pipe(prompt="a cat on a mat", **options).images


def test_weights_that_come_from_disk_each_time_are_refused(tmp_path, pipe, mask):
    disk_offload(pipe.unet, str(tmp_path), execution_device=torch.device("cpu"))
    with pytest.raises(ValueError, match="is read from disk each time it runs, so changes would be lost"):
        mask.apply(pipe)


def test_a_mask_applied_to_a_sequentially_offloaded_model_is_in_what_it_computes(pipe, mask):
    sample, text = torch.randn(1, 4, 8, 8), torch.randn(1, 48, 16)
    with torch.no_grad():
        before = pipe.unet(sample, 1, text).sample
        with mask.applied(pipe):
            masked = pipe.unet(sample, 1, text).sample
        cpu_offload(pipe.unet, execution_device=torch.device("cpu"))
        with mask.applied(pipe):
            assert torch.equal(pipe.unet(sample, 1, text).sample, masked)
        assert torch.equal(pipe.unet(sample, 1, text).sample, before)
    assert not torch.equal(masked, before)


@pytest.mark.parametrize("how", ["function", "in place", "blocks"])
def test_a_compiled_model_has_the_same_neurons_and_is_pruned(how):
    expected = fia.find(tiny_transformer("pixart"), "tench", **FAST)
    pipe = tiny_transformer("pixart")
    transformer, before = pipe.transformer, draw(pipe)
    if how == "function":
        pipe.transformer = torch.compile(pipe.transformer, backend="eager")
    elif how == "in place":
        pipe.transformer.compile(backend="eager")
    else:
        for block in pipe.transformer.transformer_blocks:
            block.compile(backend="eager")
    torch.testing.assert_close(draw(pipe), before)
    mask = fia.find(pipe, "tench", **FAST)
    assert fused(mask) == fused(expected)
    with mask.applied(pipe):
        masked = draw(pipe)
    assert not torch.allclose(masked, before)
    torch.testing.assert_close(draw(pipe), before)
    plain = tiny_transformer("pixart")
    expected.apply(plain)
    torch.testing.assert_close(masked, draw(plain))
    assert all(not module._forward_hooks and "forward" not in vars(module) for module in transformer.modules())


@FAMILIES
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_the_same_weights_and_most_of_the_same_neurons(family, dtype):
    expected = fia.find(tiny_transformer(family), "tench", **FAST)
    pipe = tiny_transformer(family).to(dtype)
    before = bits(pipe.transformer)
    mask = fia.find(pipe, "tench", **FAST)
    assert mask.weights_hash == expected.weights_hash
    one, two = (
        {(name, i) for name, pruned in found.pruned.items() for i in pruned.tolist()} for found in (mask, expected)
    )
    assert len(one & two) > 0.5 * len(one | two)  # bfloat16 keeps 8 bits, and differences of saliencies are small
    with expected.applied(pipe):
        zeros = sum(int((layer.weight == 0).sum()) for layer in maskable_layers(pipe.transformer).values())
        assert zeros >= expected.number_pruned
    after = bits(pipe.transformer)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("pattern", ["*.to_out.0", None])
@pytest.mark.parametrize("target", [["to_k"], r".*ff\.net\.2", ["to_out.0"]])
def test_adapters_are_warned_of_and_the_layers_beneath_them_are_found(target, pattern):
    plain, options = tiny_transformer("sd3"), FAST | {"layers": pattern}
    names = fia.find(plain, "tench", **options).shapes
    pipe = tiny_transformer("sd3")
    pipe.transformer.add_adapter(LoraConfig(target_modules=target, init_lora_weights=False), "style")
    with warned(r"Adapters are active \(style\)"):
        mask = fia.find(pipe, "tench", **options)
    assert mask.shapes == names
    mask.apply(plain)
    mask.apply(pipe)
    pipe.transformer.unload_lora()
    assert hash_weights(maskable_layers(pipe.transformer)) == hash_weights(maskable_layers(plain.transformer))


def test_a_fused_adapter_makes_other_weights_and_a_mask_is_found_in_those():
    pipe = tiny_transformer("sd3")
    original = fia.find(pipe, "tench", **FAST)
    pipe.transformer.add_adapter(LoraConfig(target_modules=r".*ff\.net\.2", init_lora_weights=False), "style")
    pipe.transformer.fuse_lora()
    pipe.transformer.unload_lora()
    with pytest.raises(ValueError, match="The mask was found in other weights"):
        original.apply(pipe)
    mask = fia.forget(pipe, "tench", **FAST)
    zeros = sum(int((layer.weight == 0).sum()) for layer in maskable_layers(pipe.transformer).values())
    assert zeros == mask.number_pruned > 0
