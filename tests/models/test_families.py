"""The table of families: which layers the published models have, from their configs, on no device at all."""

import json
import re
from importlib import import_module

import diffusers
import pytest
import torch
from tiny_pipelines import tiny_sd
from tiny_transformers import BUILDERS, tiny_transformer
from torch import nn
from warned import warned

import fia
from fia.cli import main
from fia.masks.random_control import random_mask
from fia.models.families import FAMILIES, MODELS, OWNERS, Z_IMAGE_TOKENS, guidance_arguments
from fia.models.layers import find_layers, hash_weights, layer_shapes, layers_named, maskable_layers
from fia.models.pipelines import get_denoiser

pytestmark = pytest.mark.slow

FAST = {"edit": "zero", "num_inference_steps": 3, "saliency_steps": 1, "prompts_per_concept": 2, "progress": False}
UNET = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2, "sample_size": 64}
XL = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SD3_MEDIUM = {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192}
SD35_LARGE = {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192}
PIXART = {"cross_attention_dim": 1152, "norm_type": "ada_norm_single", "caption_channels": 4096}
HUNYUAN = {
    "in_channels": 4,
    "patch_size": 2,
    "sample_size": 128,
    "hidden_size": 1408,
    "num_layers": 40,
    "mlp_ratio": 4.3637,
}
COGVIEW4 = {"num_layers": 28, "attention_head_dim": 128, "num_attention_heads": 32}

# The published model, its class, what its config says where it is not the default, and for the layers of each shape:
# their number, outputs, inputs, and the inputs before them that belong to an attention.
FULL = [
    (
        "Stable Diffusion 1.5",
        "UNet2DConditionModel",
        UNET | {"cross_attention_dim": 768},
        [(5, 320, 1280, 0), (5, 640, 2560, 0), (6, 1280, 5120, 0)],
    ),
    (
        "Stable Diffusion 2.1",
        "UNet2DConditionModel",
        UNET | {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
        [(5, 320, 1280, 0), (5, 640, 2560, 0), (6, 1280, 5120, 0)],
    ),
    ("Stable Diffusion XL", "UNet2DConditionModel", XL, [(10, 640, 2560, 0), (60, 1280, 5120, 0)]),
    ("PixArt-alpha, PixArt-Sigma", "PixArtTransformer2DModel", PIXART, [(28, 1152, 4608, 0)]),
    ("Stable Diffusion 3 medium", "SD3Transformer2DModel", SD3_MEDIUM, [(24 + 23, 1536, 6144, 0)]),
    ("Stable Diffusion 3.5 large", "SD3Transformer2DModel", SD35_LARGE, [(38 + 37, 2432, 9728, 0)]),
    ("FLUX.1", "FluxTransformer2DModel", {}, [(19 + 19, 3072, 12288, 0), (38, 3072, 12288, 3072)]),
    ("Sana 1.6B", "SanaTransformer2DModel", {}, [(20, 2240, 5600, 0)]),
    ("Qwen-Image", "QwenImageTransformer2DModel", {}, [(60 + 60, 3072, 12288, 0)]),
    ("Lumina Image 2.0", "Lumina2Transformer2DModel", {"cap_feat_dim": 2304}, [(26 + 2 + 2, 2304, 9216, 0)]),
    ("AuraFlow", "AuraFlowTransformer2DModel", {}, [(4 + 4 + 32, 3072, 8192, 0)]),
    ("HunyuanDiT 1.2", "HunyuanDiT2DModel", HUNYUAN, [(40, 1408, 6144, 0)]),
    ("CogView4", "CogView4Transformer2DModel", COGVIEW4, [(28, 4096, 16384, 0)]),
    ("Chroma", "ChromaTransformer2DModel", {}, [(19 + 19, 3072, 12288, 0), (38, 3072, 12288, 3072)]),
    ("Z-Image", "ZImageTransformer2DModel", {}, [(30 + 2 + 2, 3840, 10240, 0)]),
    ("FLUX.2", "Flux2Transformer2DModel", {}, [(8 + 8, 6144, 18432, 0), (48, 6144, 18432, 6144)]),
]


@pytest.mark.parametrize(("kind", "config", "expected"), [case[1:] for case in FULL], ids=[case[0] for case in FULL])
def test_the_layers_of_the_published_models(kind, config, expected):
    with torch.device("meta"):
        denoiser = getattr(diffusers, kind)(**config)
    found: dict[tuple[int, ...], int] = {}
    for layer in find_layers(denoiser).values():
        shape = (layer.out_features, layer.in_features, layer.first_input)
        found[shape] = found.get(shape, 0) + 1
    assert sorted((number, *shape) for shape, number in found.items()) == sorted(expected)


def test_every_family_is_among_the_published_models():
    assert set(FAMILIES) == {kind for _, kind, _, _ in FULL}


def test_only_the_feed_forwards_part_of_a_shared_linear_is_pruned_and_comes_back():
    pipe = tiny_transformer("flux")
    module = pipe.transformer.single_transformer_blocks[0].proj_out
    before = module.weight.detach().clone()
    assert layer_shapes(maskable_layers(pipe.transformer))["single_transformer_blocks.0.proj_out"] == (16, 64)
    assert tuple(module.weight.shape) == (16, 80)
    mask = fia.forget(pipe, "tench", spatial_ratio=0.2, **FAST)
    pruned = mask.pruned["single_transformer_blocks.0.proj_out"]
    assert (module.weight == 0).nonzero().tolist() == [[i // 64, 16 + i % 64] for i in pruned.tolist()]
    assert len(pruned) > 5
    mask.remove(pipe)
    assert torch.equal(module.weight, before)


def test_a_mask_is_saved_loaded_and_applied_to_a_convolution(tmp_path):
    pipe = tiny_transformer("sana")
    module = pipe.transformer.transformer_blocks[0].ff.conv_point
    before = module.weight.detach().clone()
    fia.find(pipe, "tench", **FAST).save_pretrained(tmp_path / "mask")
    mask = fia.NeuronMask.from_pretrained(tmp_path / "mask")
    with mask.applied(pipe):
        zero = (module.weight == 0).flatten(1).nonzero()
        assert (zero[:, 0] * 40 + zero[:, 1]).tolist() == mask.pruned["transformer_blocks.0.ff.conv_point"].tolist()
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("family", ["flux", "qwen_image", "cogview4"])
def test_a_pipeline_that_was_left_early_draws_as_before(family):
    def draw():
        generator = torch.Generator().manual_seed(0)
        return pipe(prompt="a cat", num_inference_steps=2, generator=generator, output_type="latent").images

    pipe = tiny_transformer(family)
    pipe.set_progress_bar_config(disable=True)
    first = draw()
    fia.find(pipe, "tench", **FAST)
    assert pipe._current_timestep is None
    assert all(not module._forward_hooks and "forward" not in vars(module) for module in pipe.transformer.modules())
    assert torch.equal(draw(), first)


def test_steps_that_the_models_type_cannot_tell_apart_are_counted():
    pipe = tiny_transformer("flux")
    pipe.to(torch.bfloat16)
    timesteps = []
    pipe.transformer.register_forward_pre_hook(
        lambda _, __, kwargs: timesteps.append(float(kwargs["timestep"][0])), with_kwargs=True
    )
    fia.find(pipe, "tench", **FAST | {"num_inference_steps": 600, "saliency_steps": 4})
    assert timesteps[0] == timesteps[1]
    assert len(timesteps) == 4 + 1  # the last one is where the pipeline is left


@pytest.mark.parametrize(("family", "pairs"), [("flux", 8), ("chroma", 6), ("hunyuan_dit", 4)])
def test_positions_that_all_rows_share_are_not_taken_for_rows_of_their_own(family, pairs):
    """There are as many rows as places in the image, or in the text."""
    prompts = tuple((f"a tench {i}", f"a pond {i}") for i in range(pairs))
    concept = fia.Concept("tench", prompts=prompts)
    options = FAST | {"prompts_per_concept": pairs}
    whole, sliced = (fia.find(tiny_transformer(family), concept, batch_size=size, **options) for size in (64, 5))
    one, two = ({(n, i) for n, part in mask.pruned.items() for i in part.tolist()} for mask in (whole, sliced))
    assert len(one & two) > 0.95 * len(one | two)  # other batches round otherwise


def test_guidance_is_given_as_the_family_takes_it():
    assert guidance_arguments(tiny_sd().unet, 7.5, 2) == {"guidance_scale": 7.5}
    transformer = tiny_transformer("qwen_image").transformer
    assert guidance_arguments(transformer, 4.0, 2) == {"true_cfg_scale": 4.0, "negative_prompt": [" ", " "]}
    assert guidance_arguments(transformer, 1.0, 2) == {"true_cfg_scale": 1.0}


def test_the_command_lists_the_layers_from_the_configs_alone(tmp_path, capsys):
    tiny_transformer("flux").save_pretrained(tmp_path)
    for weights in tmp_path.rglob("*.safetensors"):
        weights.unlink()
    assert main(["layers", str(tmp_path)]) == 0
    assert "transformer_blocks.*.attn.to_out.0" in capsys.readouterr().out
    assert main(["layers", str(tmp_path), "--sites", "feed-forward"]) == 0
    text = capsys.readouterr().out
    assert "FluxTransformer2DModel: FLUX.1; guidance: distilled" in text
    assert re.search(r" 2  16 x 64 \(of 80\) +single_transformer_blocks\.\*\.proj_out", text)
    assert "4 layers, 4,096 weights" in text
    assert main(["layers", str(tmp_path), "--layers", "*.to_k", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert layers["transformer_blocks.0.attn.to_k"] == {"outputs": 16, "inputs": 16, "first_input": 0}
    assert len(layers) == 3
    assert main(["layers", str(tmp_path), "--layers", "*.to_k, *.to_q,", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["layers"]) == 6


def test_the_command_refuses_a_known_denoiser_without_such_layers(tmp_path, capsys):
    tiny_sd().save_pretrained(tmp_path)
    config = tmp_path / "unet" / "config.json"
    plain = {"down_block_types": ["DownBlock2D"] * 2, "mid_block_type": None, "up_block_types": ["UpBlock2D"] * 2}
    config.write_text(json.dumps(json.loads(config.read_text()) | plain))
    assert main(["layers", str(tmp_path)]) == 2
    assert "has no layer of the sites 'both'" in capsys.readouterr().err


def test_the_command_says_what_it_needs(tmp_path, capsys):
    assert main(["layers", str(tmp_path / "nothing")]) == 2
    assert "There is no folder or file" in capsys.readouterr().err
    (tmp_path / "model.safetensors").touch()
    assert main(["layers", str(tmp_path / "model.safetensors")]) == 2
    assert "is a single file, which does not hold its config" in capsys.readouterr().err
    (tmp_path / "model_index.json").write_text('{"_class_name": "Own", "transformer": ["own_code", "OwnModel"]}')
    assert main(["layers", str(tmp_path)]) == 2
    assert "has no denoiser that diffusers knows (it says OwnModel of own_code)" in capsys.readouterr().err


class UnknownTransformer(diffusers.ModelMixin):
    """An architecture that is in no table, made of one that is."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.config = inner.config

    def forward(self, hidden_states, encoder_hidden_states=None, timestep=None, **kwargs):
        return self.inner(hidden_states, encoder_hidden_states, timestep=timestep, **kwargs)


@pytest.fixture
def unknown():
    """A pipeline whose architecture is unknown."""
    pipe = tiny_transformer("pixart")
    pipe.transformer = UnknownTransformer(pipe.transformer)
    return pipe


def test_an_unknown_architecture_says_what_to_do(unknown):
    with pytest.raises(TypeError, match=r'denoises with a UnknownTransformer.*layers="\*\.ff\.net\.2" \(--layers\)'):
        fia.find(unknown, "tench", **FAST)
    with pytest.raises(ValueError, match=r"No linear of UnknownTransformer has a name like '\*\.mlp'"):
        fia.find(unknown, "tench", layers="*.ff.net.2, *.mlp", **FAST)
    with pytest.raises(ValueError, match=r"No linear of UnknownTransformer has a name like '\*\.mlp'"):
        fia.find(unknown, "tench", layers="*.mlp", **FAST)


def test_layers_chosen_by_hand_open_an_unknown_architecture(unknown, tmp_path):
    plain = tiny_transformer("pixart")
    expected = fia.find(plain, "tench", **FAST)
    with warned("UnknownTransformer is not known.*unconditional rows first"):
        found = fia.find(unknown, "tench", layers="*.ff.net.2", **FAST)
    assert all(torch.equal(found.pruned[f"inner.{name}"], pruned) for name, pruned in expected.pruned.items())
    found.save_pretrained(tmp_path / "mask")
    mask = fia.NeuronMask.from_pretrained(tmp_path / "mask")
    before = hash_weights(layers_named(unknown.transformer, mask.shapes))
    with mask.applied(unknown):
        layers = layers_named(unknown.transformer, mask.shapes)
        assert sum(int((layer.weight == 0).sum()) for layer in layers.values()) == mask.number_pruned > 5
    assert hash_weights(layers_named(unknown.transformer, mask.shapes)) == before


def test_layers_chosen_by_hand_are_masked_in_place_of_the_usual_ones(pipe):
    mask = fia.forget(pipe, "tench", layers="*.attn2.to_v", **FAST)
    assert set(mask.shapes) == {name for name, _ in pipe.unet.named_modules() if name.endswith("attn2.to_v")}
    for name, pruned in mask.pruned.items():
        assert int((pipe.unet.get_submodule(name).weight == 0).sum()) == len(pruned) > 0
    assert set(random_mask(mask).shapes) == set(mask.shapes)
    mask.remove(pipe)
    with random_mask(mask).applied(pipe):
        assert get_denoiser(pipe) is pipe.unet
    both = find_layers(pipe.unet, "*.attn2.to_v, *.ff.net.2")
    assert set(both) == set(mask.shapes) | set(find_layers(pipe.unet))


def test_layers_that_are_no_plain_linears_are_not_chosen(pipe):
    names = find_layers(pipe.unet, "*")
    assert "conv_in" not in names
    assert all(isinstance(pipe.unet.get_submodule(name), nn.Linear | nn.Conv2d) for name in names)


def test_every_class_in_the_tables_is_one_of_diffusers() -> None:
    for name in OWNERS:
        module, _, kind = f"{MODELS}{name}".rpartition(".")
        assert issubclass(getattr(import_module(module), kind), nn.Module), name
    for name in FAMILIES:
        assert getattr(diffusers, name).__module__.startswith(MODELS), name
    assert import_module("diffusers.models.transformers.transformer_z_image").SEQ_MULTI_OF == Z_IMAGE_TOKENS


@pytest.mark.parametrize("family", sorted(BUILDERS))
def test_every_family_is_rewritten_at_both_sites_and_comes_back(family):
    pipe = tiny_transformer(family)
    options = FAST | {"edit": "rewrite", "retained_words": 0, "spatial_ratio": 0.3}
    mask = fia.find(pipe, "tench", keep=["a much longer name of a horse"], **options)
    denoiser = get_denoiser(pipe)
    layers = find_layers(denoiser, sites="both")
    assert mask.shapes.keys() == layers.keys() > find_layers(denoiser).keys()
    before = {name: layer.weight.clone() for name, layer in layers.items()}
    with mask.applied(pipe):
        changed = [name for name, layer in layers.items() if not torch.equal(layer.weight, before[name])]
        assert len(changed) > len(layers) / 2
    assert all(torch.equal(layer.weight, before[name]) for name, layer in layers.items())
