"""Maskable layers: found by what owns them, keyed by name, and refused where they cannot be edited."""

import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel, UNet2DModel
from tiny_transformers import tiny_transformer
from torch import nn
from wrapped_linear import WrappedLinear

from fia import Concept
from fia.methods import ESD, UCE
from fia.models.layers import count_parameters, layer_shapes, maskable_layers
from fia.models.pipelines import get_denoiser, get_known_denoiser


def test_layers_are_the_second_linear_of_every_feed_forward_block(pipe):
    expected = {name for name, _ in pipe.unet.named_modules() if name.endswith(".ff.net.2")}
    layers = maskable_layers(pipe.unet)
    assert set(layers) == expected
    assert len(layers) == 4
    assert all(pipe.unet.get_submodule(name) is layer.module for name, layer in layers.items())


def test_xl_blocks_with_several_transformers_are_found_too(xl_pipe):
    assert len(maskable_layers(xl_pipe.unet)) == 8


def test_a_full_stable_diffusion_1_has_sixteen_layers():
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    for parameter in unet.parameters():
        assert parameter.is_meta
    with pytest.raises(ValueError, match="device 'meta'"):
        maskable_layers(unet)
    names = [name for name, _ in unet.named_modules() if name.endswith("ff.net.2")]
    assert len(names) == 16


def test_shapes_parameters_and_device(pipe):
    layers = maskable_layers(pipe.unet)
    assert set(layer_shapes(layers).values()) == {(16, 64)}
    assert all(tuple(layer.weight.shape) == layer_shapes(layers)[name] for name, layer in layers.items())
    assert count_parameters(nn.Linear(3, 5)) == 3 * 5 + 5


def test_a_layer_of_another_class_is_refused_by_name(pipe):
    block = pipe.unet.mid_block.attentions[0].transformer_blocks[0].ff
    block.net[2] = WrappedLinear(64, 16)
    with pytest.raises(TypeError, match=r"mid_block.*ff\.net\.2 is a .*WrappedLinear of torch\.float32; only plain"):
        maskable_layers(pipe.unet)


def test_a_quantised_weight_is_refused(pipe):
    layer = next(iter(maskable_layers(pipe.unet).values()))
    layer.module.weight = nn.Parameter(torch.zeros(16, 64, dtype=torch.int8), requires_grad=False)
    with pytest.raises(TypeError, match=r"of torch\.int8; only plain floating-point linears"):
        maskable_layers(pipe.unet)


class PackedParameter(nn.Parameter):
    """A weight that says it is of a floating-point type, as some quantisers' do."""


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (nn.Parameter(torch.zeros(16, 64).to(torch.float8_e4m3fn), requires_grad=False), r"Linear of torch\.float8"),
        (PackedParameter(torch.zeros(16, 64)), r"of torch\.float32 in a PackedParameter; only plain"),
    ],
)
def test_weights_that_are_packed_are_refused(pipe, weight, message):
    next(iter(maskable_layers(pipe.unet).values())).module.weight = weight
    with pytest.raises(TypeError, match=message):
        maskable_layers(pipe.unet)


def test_what_is_known_of_u_nets_alone_refuses_others():
    pipe = tiny_transformer("sana")
    assert get_denoiser(pipe) is pipe.transformer
    for method in (ESD(), UCE()):
        with pytest.raises(TypeError, match="TinySana denoises with SanaTransformer2DModel; this works with a UNet2D"):
            method.unlearn(pipe, [Concept("church")], [])


def test_a_weight_that_is_not_in_memory_is_refused(pipe):
    layer = next(iter(maskable_layers(pipe.unet).values()))
    layer.module.to("meta")
    with pytest.raises(ValueError, match=r"has no weights in memory \(device 'meta'\): the pipeline is offloaded"):
        maskable_layers(pipe.unet)


def test_a_model_without_feed_forward_blocks_is_refused():
    with pytest.raises(ValueError, match="Sequential has no layer of the sites 'feed-forward'"):
        maskable_layers(nn.Sequential(nn.Linear(2, 2)))


def test_the_denoiser_is_the_unet(pipe):
    assert get_denoiser(pipe) is pipe.unet


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize("name", ["unet", "transformer"])
def test_a_pipeline_with_another_denoiser_is_refused(name):
    class OtherPipeline(DiffusionPipeline):
        pass

    other = OtherPipeline()
    other.register_modules(**{name: UNet2DModel(sample_size=8, block_out_channels=(32,), **_one_plain_block())})
    with pytest.raises(TypeError, match="OtherPipeline denoises with a UNet2DModel; only pipelines with a UNet2DCond"):
        get_known_denoiser(other)


@pytest.mark.usefixtures("any_types")
def test_what_is_no_pipeline_is_refused(pipe):
    for thing in ("stable-diffusion", pipe.unet, None):
        with pytest.raises(TypeError, match=f"pipe is a {type(thing).__name__}, not a pipeline"):
            get_denoiser(thing)
    with pytest.raises(TypeError, match="DiffusionPipeline has neither a U-Net nor a transformer"):
        get_denoiser(DiffusionPipeline())


def _one_plain_block():
    return {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}


def test_feed_forwards_that_work_in_chunks_are_refused_with_the_remedy(pipe):
    block = pipe.unet.mid_block.attentions[0].transformer_blocks[0]
    block.set_chunk_feed_forward(2, 1)
    with pytest.raises(ValueError, match=r"chunking is on in mid_block.*set_chunk_feed_forward\(None, 0\)"):
        maskable_layers(pipe.unet)
    block.set_chunk_feed_forward(None, 0)
    assert maskable_layers(pipe.unet)


@pytest.mark.usefixtures("any_types")
def test_layers_whose_weight_is_packed_are_refused_by_name(pipe):
    class Packed(nn.Module):
        """As torch.ao packs a linear that it quantises: its weight is a method."""

        def weight(self):
            return torch.zeros(16, 64)

    pipe.unet.mid_block.attentions[0].transformer_blocks[0].ff.net[2] = Packed()
    with pytest.raises(TypeError, match="Packed of packed weights; only plain floating-point linears"):
        maskable_layers(pipe.unet)
