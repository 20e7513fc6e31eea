"""NeuronMask on a pipeline: applied, removed, and refused where it does not fit."""

import copy
from dataclasses import replace

import pytest
import torch
from bits import assert_same_bits, bits
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from tiny_pipelines import tiny_sd
from warned import warned
from wrapped_linear import WrappedLinear

import fia
from fia import NeuronMask, Policy
from fia.masks import pruning
from fia.masks.pruning import current_pruning
from fia.models.layers import maskable_layers


def draw(pipe):
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    return pipe("a church", num_inference_steps=2, generator=generator, output_type="pt").images


def test_the_sparsity_reported_is_the_sparsity_measured(pipe, mask):
    layers = maskable_layers(pipe.unet).values()
    assert all(layer.weight.count_nonzero() == layer.weight.numel() for layer in layers)
    mask.apply(pipe)
    zeros = sum(int((layer.weight == 0).sum()) for layer in layers)
    assert mask.sparsity == zeros / sum(layer.weight.numel() for layer in layers)
    assert mask.denoiser_sparsity == zeros / sum(parameter.numel() for parameter in pipe.unet.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_applying_and_removing_gives_every_weight_back(pipe, mask, dtype):
    pipe.unet.to(dtype)
    before = bits(pipe.unet)
    mask.apply(pipe)
    assert mask.is_applied(pipe)
    mask.remove(pipe)
    assert not mask.is_applied(pipe)
    assert_same_bits(pipe.unet, before)


def test_images_change_under_the_mask_and_are_the_same_afterwards(pipe, mask):
    before = draw(pipe)
    with mask.applied(pipe) as inside:
        assert inside is pipe
        assert not torch.equal(draw(pipe), before)
    assert torch.equal(draw(pipe), before)


def test_an_empty_mask_changes_nothing(pipe, mask):
    before, image = bits(pipe.unet), draw(pipe)
    with mask.without(*mask.concepts).applied(pipe):
        assert_same_bits(pipe.unet, before)
        assert torch.equal(draw(pipe), image)
    assert_same_bits(pipe.unet, before)


def test_applying_again_and_applied_inside_of_applied_change_nothing(pipe, mask):
    before = bits(pipe.unet)
    with mask.applied(pipe):
        edited = bits(pipe.unet)
        mask.apply(pipe)
        with mask.applied(pipe):
            assert_same_bits(pipe.unet, edited)
        assert_same_bits(pipe.unet, edited)
    assert_same_bits(pipe.unet, before)


def test_a_mask_applied_before_the_block_stays_after_it(pipe, mask):
    mask.apply(pipe)
    with mask.applied(pipe):
        pass
    assert mask.is_applied(pipe)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_leaving_the_block_by_an_error_restores_every_weight(pipe, mask, error):
    before = bits(pipe.unet)

    def interrupted():
        with mask.applied(pipe):
            raise error("midway")

    with pytest.raises(error, match="midway"):
        interrupted()
    assert_same_bits(pipe.unet, before)
    assert not pipe.unet._forward_hooks
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in pipe.unet.modules())


def test_a_mask_removed_within_the_block_is_not_removed_twice(pipe, mask):
    before = bits(pipe.unet)
    with mask.applied(pipe):
        mask.remove(pipe)
    assert_same_bits(pipe.unet, before)


def test_another_mask_on_top_is_refused_and_the_first_stays(pipe, mask):
    other = mask.without("church")
    mask.apply(pipe)
    edited = bits(pipe.unet)
    with pytest.raises(ValueError, match=r"A mask \(church, golf ball, Van Gogh\) is applied"):
        other.apply(pipe)
    with pytest.raises(ValueError, match="is applied to this pipeline, and applying one"), other.applied(pipe):
        pass
    assert_same_bits(pipe.unet, edited)
    with pytest.raises(ValueError, match=r"Another mask \(church, golf ball, Van Gogh\) is applied"):
        other.remove(pipe)
    assert mask.is_applied(pipe)
    assert not other.is_applied(pipe)


def test_a_mask_that_is_not_applied_cannot_be_removed(pipe, mask):
    with pytest.raises(ValueError, match="No mask is applied to this pipeline"):
        mask.remove(pipe)


def test_an_equal_mask_from_disk_removes_what_was_applied(pipe, mask, tmp_path):
    before = bits(pipe.unet)
    mask.apply(pipe)
    mask.save_pretrained(tmp_path)
    loaded = NeuronMask.from_pretrained(tmp_path)
    assert loaded.is_applied(pipe)
    loaded.remove(pipe)
    assert_same_bits(pipe.unet, before)


def test_a_copied_pipeline_carries_its_own_edit(pipe, mask):
    before = bits(pipe.unet)
    mask.apply(pipe)
    other = copy.deepcopy(pipe)
    mask.remove(pipe)
    assert mask.is_applied(other)
    mask.remove(other)
    assert_same_bits(other.unet, before)


def test_a_cast_in_between_gives_the_cast_weights_back(pipe, mask):
    before = bits(copy.deepcopy(pipe.unet).to(torch.float16))
    mask.apply(pipe)
    pipe.to(torch.float16)
    mask.remove(pipe)
    assert_same_bits(pipe.unet, before)


def test_an_edited_model_saved_and_loaded_is_a_model_without_a_mask(pipe, mask, tmp_path):
    mask.apply(pipe)
    pipe.unet.save_pretrained(tmp_path)
    pipe.unet = UNet2DConditionModel.from_pretrained(tmp_path)
    assert not mask.is_applied(pipe)
    with pytest.raises(ValueError, match=r"saved with the mask and loaded again no longer has them"):
        mask.remove(pipe)


def test_original_weights_loaded_over_a_mask_end_it(pipe, mask):
    before = copy.deepcopy(pipe.unet.state_dict())
    mask.apply(pipe)
    pipe.unet.load_state_dict(before)
    assert not mask.is_applied(pipe)
    with pytest.raises(ValueError, match="No mask is applied"):
        mask.remove(pipe)
    other = mask.without("church")
    with other.applied(pipe):  # nothing is left of the first
        assert other.is_applied(pipe)
    assert all(torch.equal(weight, before[name]) for name, weight in pipe.unet.state_dict().items())


def test_another_checkpoint_loaded_over_a_mask_stays_as_it_is(pipe, mask):
    other = tiny_sd(seed=1).unet.state_dict()
    mask.apply(pipe)
    pipe.unet.load_state_dict(other)
    assert not mask.is_applied(pipe)
    with pytest.raises(ValueError, match=f"{mask.number_pruned} of the weights that it changed have other values now"):
        mask.apply(pipe)
    with warned(f"{mask.number_pruned} pruned weights no longer had the values that the mask gave them"):
        mask.remove(pipe)
    assert all(torch.equal(weight, other[name]) for name, weight in pipe.unet.state_dict().items())
    with pytest.raises(ValueError, match="The mask was found in other weights"):
        mask.apply(pipe)


def test_another_checkpoint_loaded_within_the_block_stays_as_it_is(pipe, mask):
    other = tiny_sd(seed=1).unet.state_dict()
    with warned("They keep the values that they have now"), mask.applied(pipe):
        pipe.unet.load_state_dict(other)
    assert all(torch.equal(weight, other[name]) for name, weight in pipe.unet.state_dict().items())
    assert current_pruning(pipe.unet) is None


def test_some_weights_restored_are_pruned_again(pipe, mask):
    before = copy.deepcopy(pipe.unet.state_dict())
    mask.apply(pipe)
    masked = copy.deepcopy(pipe.unet.state_dict())
    name = next(iter(mask.shapes)) + ".weight"
    pipe.unet.get_parameter(name).data.copy_(before[name])
    assert not mask.is_applied(pipe)
    mask.apply(pipe)
    assert all(torch.equal(weight, masked[name]) for name, weight in pipe.unet.state_dict().items())
    mask.remove(pipe)
    assert all(torch.equal(weight, before[name]) for name, weight in pipe.unet.state_dict().items())


def test_a_smaller_layer_swapped_in_is_left_alone(pipe, mask):
    before = bits(pipe.unet)
    mask.apply(pipe)
    net = pipe.unet.mid_block.attentions[0].transformer_blocks[0].ff.net
    plain, net[2] = net[2], torch.nn.Linear(8, 16)
    assert not mask.is_applied(pipe)
    with warned("no longer had the values"):
        mask.remove(pipe)
    net[2] = plain
    assert sum(not torch.equal(bits(pipe.unet)[name], own) for name, own in before.items()) == 1


def test_a_model_made_in_inference_mode_is_masked_and_restored(mask):
    with torch.inference_mode():
        pipe = tiny_sd()
    before = bits(pipe.unet)
    with mask.applied(pipe):
        assert mask.is_applied(pipe)
        layers = maskable_layers(pipe.unet).values()
        assert sum(int((layer.weight == 0).sum()) for layer in layers) == mask.number_pruned
    assert_same_bits(pipe.unet, before)


def add_adapter(pipe):
    """Adds a LoRA that changes something to the masked layers and to the outputs of attentions."""
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["ff.net.2", "to_out.0"], init_lora_weights=False), "x")


def test_a_mask_works_beneath_an_adapter_on_its_layers(pipe, mask):
    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    add_adapter(pipe)
    with mask.applied(pipe):
        assert mask.is_applied(pipe)
        pipe.unet.disable_adapters()
        masked = draw(pipe)
        pipe.unet.enable_adapters()
    pipe.unload_lora_weights()
    assert all(torch.equal(weight, before[name]) for name, weight in pipe.unet.state_dict().items())
    with mask.applied(pipe):
        assert torch.equal(draw(pipe), masked)


@pytest.mark.parametrize("way", ["remove", "applied", "policy"])
def test_an_adapter_added_over_a_mask_is_no_obstacle(pipe, mask, way):
    before = bits(pipe.unet)
    if way == "policy":
        policy = Policy(pipe, {"all": mask})
        with policy("all"):
            add_adapter(pipe)
        with policy(None):
            assert not mask.is_applied(pipe)
    elif way == "applied":
        with mask.applied(pipe):
            add_adapter(pipe)
    else:
        mask.apply(pipe)
        add_adapter(pipe)
        mask.remove(pipe)
    pipe.unload_lora_weights()
    assert_same_bits(pipe.unet, before)


def test_an_adapter_fused_over_a_mask_is_unfused_first(pipe, mask):
    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    mask.apply(pipe)
    add_adapter(pipe)
    pipe.fuse_lora()
    assert not mask.is_applied(pipe)
    with pytest.raises(ValueError, match="An adapter was fused or unfused after the mask"):
        mask.remove(pipe)
    pipe.unfuse_lora()
    mask.remove(pipe)
    pipe.unload_lora_weights()
    for name, weight in pipe.unet.state_dict().items():
        assert torch.allclose(weight, before[name], atol=1e-6)  # unfusing rounds


def test_a_mask_over_a_fused_adapter_is_removed_also_once_that_is_unloaded(pipe, mask):
    add_adapter(pipe)
    pipe.fuse_lora()
    before = [layer.weight.clone() for layer in maskable_layers(pipe.unet).values()]
    mask.apply(pipe, check_weights=False)
    pipe.unload_lora_weights()
    mask.remove(pipe)
    after = [layer.weight for layer in maskable_layers(pipe.unet).values()]
    assert all(map(torch.equal, before, after))


def test_what_cannot_be_restored_at_the_end_is_restored_at_the_next_start(pipe, mask, monkeypatch):
    before, policy = bits(pipe.unet), Policy(pipe, {"all": mask})
    original = pruning.write

    def failing(*_):
        raise OSError("no memory")

    with pytest.raises(OSError, match="no memory"), policy("all"):
        monkeypatch.setattr(pruning, "write", failing)
    with pytest.raises(OSError, match="no memory"), policy(None):
        pass
    monkeypatch.setattr(pruning, "write", original)
    with policy(None):
        assert_same_bits(pipe.unet, before)


def test_the_users_exception_is_not_replaced_by_one_from_restoring(pipe, mask, monkeypatch):
    def failing(*_):
        raise OSError("no memory")

    def fails_within():
        with mask.applied(pipe):
            monkeypatch.setattr(pruning, "write", failing)
            raise KeyError("the user's")

    with (
        warned("After KeyError, the original weights could not be written back. no memory"),
        pytest.raises(KeyError, match="the user's"),
    ):
        fails_within()


def test_a_mask_from_outside_is_seen_by_a_policy(pipe, mask):
    policy = Policy(pipe, {"all": mask})
    mask.apply(pipe)
    for name in ("all", None):
        with (
            pytest.raises(ValueError, match="is applied to this pipeline, and a policy needs the original"),
            policy(name),
        ):
            pass
    assert mask.is_applied(pipe)


def test_weights_offloaded_to_disk_are_refused_and_originals_kept(pipe, mask, tmp_path):
    mask.apply(pipe)
    cpu = torch.device("cpu")
    pipe.unet.enable_group_offload(cpu, cpu, offload_type="leaf_level", offload_to_disk_path=str(tmp_path))
    for deed in (mask.apply, mask.remove, mask.is_applied, lambda pipe: fia.find(pipe, "cat")):
        with pytest.raises(ValueError, match=r"offloaded to disk .* Load the model again"):
            deed(pipe)
    assert pruning._RECORD in vars(pipe.unet)


def test_without_forgets_how_the_removed_concepts_were_found(mask):
    (record,) = mask.without("church").provenance
    assert [concept["name"] for concept in record["concepts"]] == ["golf ball", "Van Gogh"]
    assert mask.without(*mask.concepts).provenance == []


def test_another_architecture_is_refused(pipe, mask):
    with pytest.raises(ValueError, match="for a FluxTransformer2DModel, but the model is a UNet2DConditionModel"):
        replace(mask, architecture="FluxTransformer2DModel").apply(pipe)


def test_other_shapes_and_other_layers_are_refused_by_name(xl_pipe, mask):
    wide = tiny_sd(width=32)
    before, xl_before = bits(wide.unet), bits(xl_pipe.unet)
    with pytest.raises(ValueError, match=r"layer down_blocks\S+ is 16 x 64 in the mask and 32 x 128 in the model"):
        mask.apply(wide)
    with pytest.raises(ValueError, match=r"layer down_blocks\.0\S+ is 16 x 64 in the mask and missing in the model"):
        mask.apply(xl_pipe)
    assert_same_bits(wide.unet, before)
    assert_same_bits(xl_pipe.unet, xl_before)


def test_weights_out_of_memory_and_wrapped_layers_are_refused(pipe, mask):
    layer = pipe.unet.mid_block.attentions[0].transformer_blocks[0].ff.net
    plain, before = layer[2], bits(pipe.unet)
    layer[2] = WrappedLinear(64, 16)
    with pytest.raises(TypeError, match="only plain floating-point linears can be masked"):
        mask.apply(pipe)
    layer[2] = torch.nn.Linear(64, 16, device="meta")
    with pytest.raises(ValueError, match="has no weights in memory"):
        mask.apply(pipe)
    layer[2] = plain
    assert_same_bits(pipe.unet, before)
    assert not mask.is_applied(pipe)
