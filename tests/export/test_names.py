"""Names of layers elsewhere: by hand for the published models, and by diffusers' own converter."""

import pytest
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from original_layout import original_unet_name

from fia.export.names import lora_name, original_name
from fia.models.layers import maskable_layers


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("down_blocks.0.attentions.0.proj_in", "input_blocks.1.1.proj_in"),
        ("down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2", "input_blocks.4.1.transformer_blocks.0.ff.net.2"),
        ("down_blocks.2.attentions.1.transformer_blocks.9.ff.net.2", "input_blocks.8.1.transformer_blocks.9.ff.net.2"),
        ("mid_block.attentions.0.transformer_blocks.0.ff.net.2", "middle_block.1.transformer_blocks.0.ff.net.2"),
        ("up_blocks.0.attentions.2.transformer_blocks.3.ff.net.2", "output_blocks.2.1.transformer_blocks.3.ff.net.2"),
        ("up_blocks.3.attentions.2.transformer_blocks.0.ff.net.2", "output_blocks.11.1.transformer_blocks.0.ff.net.2"),
    ],
)
def test_the_published_models_have_two_layers_a_block(name: str, original: str) -> None:
    assert original_name(name, 2) == original


@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
def test_diffusers_converts_the_original_names_back(fixture: str, request: pytest.FixtureRequest) -> None:
    unet = request.getfixturevalue(fixture).unet
    everything = [original_unet_name(name, unet) for name in unet.state_dict()]
    converted = convert_ldm_unet_checkpoint({f"model.diffusion_model.{name}": name for name in everything}, unet.config)
    for layer in maskable_layers(unet):
        assert converted[f"{layer}.weight"] == f"{original_name(layer, unet.config.layers_per_block)}.weight"


def test_only_xl_goes_by_the_original_names(pipe, xl_pipe) -> None:
    layer = "mid_block.attentions.0.transformer_blocks.0.ff.net.2"
    assert lora_name(layer, pipe.unet) == "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2"
    assert lora_name(layer, xl_pipe.unet) == "lora_unet_middle_block_1_transformer_blocks_0_ff_net_2"


def test_a_layer_elsewhere_has_no_original_name() -> None:
    with pytest.raises(ValueError, match="Layer conv_in is in no attention"):
        original_name("conv_in", 2)
