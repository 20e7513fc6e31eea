"""What else changes the images of a pipeline is put aside while neurons are found, and put back; or it is refused."""

import copy
import threading

import pytest
import torch
from bits import assert_same_bits, bits
from diffusers import (
    AutoPipelineForText2Image,
    ControlNetModel,
    DDIMScheduler,
    FasterCacheConfig,
    FirstBlockCacheConfig,
    LayerSkipConfig,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionPipeline,
    TaylorSeerCacheConfig,
    apply_layer_skip,
)
from tiny_pipelines import tiny_sd
from tiny_transformers import tiny_transformer
from warned import heard, warned

import fia

pytestmark = pytest.mark.slow

FAST = {"edit": "zero", "num_inference_steps": 4, "saliency_steps": 3, "prompts_per_concept": 2, "progress": False}


def draw(pipe, **options):
    """Two steps from a seed."""
    pipe.set_progress_bar_config(disable=True)
    options |= {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(0), "output_type": "latent"}
    return pipe(prompt="a cat on a mat", **options).images


CACHES = [
    TaylorSeerCacheConfig(cache_interval=3, disable_cache_before_step=1, max_order=1),
    FirstBlockCacheConfig(threshold=10.0),
    FasterCacheConfig(spatial_attention_block_skip_range=2, current_timestep_callback=lambda: 500),
]


@pytest.mark.parametrize("config", CACHES, ids=lambda config: type(config).__name__)
def test_a_cache_is_off_while_neurons_are_found_and_on_again_afterwards(config):
    expected = fia.find(tiny_transformer("flux"), ["cat", "dog"], **FAST)
    pipe = tiny_transformer("flux")
    pipe.transformer.enable_cache(config)
    for batch_size in (16, 1):
        assert fia.find(pipe, ["cat", "dog"], batch_size=batch_size, **FAST).fingerprint == expected.fingerprint
        assert pipe.transformer._cache_config is config


def test_a_cache_is_on_again_after_an_exception():
    pipe = tiny_transformer("flux")
    pipe.transformer.enable_cache(CACHES[0])

    def stop(_done, _total):
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fia.find(pipe, "cat", on_step=stop, **FAST)
    assert pipe.transformer.is_cache_enabled


def test_a_hook_that_cannot_be_put_back_is_refused():
    pipe = tiny_transformer("flux")
    apply_layer_skip(pipe.transformer, LayerSkipConfig(indices=[0], fqn="transformer_blocks", skip_attention=True))
    with pytest.raises(TypeError, match=r"A \w+Hook of diffusers changes what the layers see. Load the model again"):
        fia.find(pipe, "cat", **FAST)


def test_forwards_that_another_tool_replaced_are_put_aside_and_put_back(pipe):
    expected = fia.find(tiny_sd(), "cat", **FAST)
    kept = []

    def first_answer_for_ever(forward):
        def cached(*args, **kwargs):
            kept[:] = kept or [forward(*args, **kwargs)]
            return kept[0]

        return cached

    pipe.unet.forward = replaced = first_answer_for_ever(pipe.unet.forward)
    block = pipe.unet.mid_block
    block.forward = inner = first_answer_for_ever(block.forward)
    with warned("Something replaced the forward of UNet2DConditionModel, UNetMidBlock2DCrossAttn"):
        mask = fia.find(pipe, "cat", **FAST)
    assert mask.fingerprint == expected.fingerprint
    assert pipe.unet.forward is replaced
    assert block.forward is inner


def test_perturbed_attention_is_off_and_the_base_pipeline_still_draws(pipe):
    before, expected = draw(pipe), fia.find(pipe, "cat", **FAST)
    pag = StableDiffusionPAGPipeline(**pipe.components, pag_applied_layers="mid", requires_safety_checker=False)
    assert fia.find(pag, "cat", **FAST).fingerprint == expected.fingerprint
    assert torch.equal(draw(pipe), before)


def test_pipelines_that_take_an_image_are_refused_and_the_remedy_works(pipe):
    parts = pipe.components | {"requires_safety_checker": False}
    expected = fia.find(pipe, "cat", **FAST)
    controlnet = ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(16, 16))
    for other in (
        StableDiffusionImg2ImgPipeline(**parts),
        StableDiffusionInpaintPipeline(**parts),
        StableDiffusionControlNetPipeline(**parts, controlnet=controlnet),
    ):
        with pytest.raises(TypeError, match=r"makes images from another image .*AutoPipelineForText2Image\.from_pipe"):
            fia.find(other, "cat", **FAST)
        mask = fia.find(AutoPipelineForText2Image.from_pipe(other, controlnet=None), "cat", **FAST)
        assert mask.fingerprint == expected.fingerprint
        with mask.applied(other):
            assert mask.is_applied(pipe)


def test_a_denoiser_with_channels_for_an_image_is_refused(pipe):
    pipe.unet.register_to_config(in_channels=9)
    with pytest.raises(TypeError, match="takes 9 channels and gives 4: it is made to inpaint or edit"):
        fia.find(pipe, "cat", **FAST)


class Pair(StableDiffusionPipeline):
    """A pipeline with two denoisers."""

    @property
    def components(self):
        return super().components | {"unet_2": tiny_sd(seed=1).unet}


def test_an_image_adapter_and_a_second_denoiser_are_refused(pipe):
    pipe.unet.register_to_config(encoder_hid_dim_type="ip_image_proj")
    with pytest.raises(TypeError, match=r"pipe.unload_ip_adapter\(\)"):
        fia.find(pipe, "cat", **FAST)
    pair = tiny_sd()
    pair.__class__ = Pair
    with pytest.raises(TypeError, match=r"has 2 denoisers \(unet, unet_2\)"):
        fia.find(pair, "cat", **FAST)


class OwnNoise(DDIMScheduler):
    """A scheduler that draws noise from torch's own generator."""

    def step(self, *args, **kwargs):
        (sample, *rest) = super().step(*args, **(kwargs | {"return_dict": False}))
        return sample + 0.1 * torch.randn_like(sample), *rest


def test_a_scheduler_with_noise_of_its_own_gives_the_same_neurons_twice(pipe):
    pipe.scheduler = OwnNoise.from_config(pipe.scheduler.config)
    before = torch.get_rng_state()
    first = fia.find(pipe, ["cat", "dog"], **FAST)
    assert torch.equal(torch.get_rng_state(), before)
    torch.randn(3)
    assert fia.find(pipe, ["cat", "dog"], **FAST).fingerprint == first.fingerprint


def test_a_pipeline_stays_as_it_is(pipe):
    before, scheduler = bits(pipe.unet), copy.deepcopy(vars(pipe.scheduler))
    attributes = {name: value for name, value in vars(pipe).items() if name != "scheduler"}
    fia.find(pipe, "cat", **FAST)
    assert_same_bits(pipe.unet, before)
    assert vars(pipe.scheduler).keys() == scheduler.keys()
    assert pipe.scheduler.num_inference_steps == scheduler["num_inference_steps"]
    assert {name: value for name, value in vars(pipe).items() if name != "scheduler"} == attributes


def test_drawing_in_another_thread_changes_neither_the_images_nor_the_neurons(pipe):
    expected, image = fia.find(pipe, "cat", **FAST), draw(pipe)
    other = type(pipe)(**pipe.components, requires_safety_checker=False)
    images, stop = [], threading.Event()

    def keep_drawing():
        while not stop.is_set():
            images.append(draw(other))

    other.scheduler = copy.deepcopy(pipe.scheduler)
    thread = threading.Thread(target=keep_drawing)
    thread.start()
    try:
        found = fia.find(pipe, "cat", **FAST)
    finally:
        stop.set()
        thread.join()
    assert found.fingerprint == expected.fingerprint
    assert images
    assert all(torch.equal(own, image) for own in images)


def test_active_adapters_are_recorded_and_only_these_are_warned_of(pipe):
    from peft import LoraConfig

    pipe.unet.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules=["to_q"], init_lora_weights=False), "x")
    with warned(r"Adapters are active \(x\)"):
        assert fia.find(pipe, "cat", **FAST).provenance[0]["adapters"] == {"x": 2.0}
    pipe.unet.disable_adapters()
    with heard() as messages:
        mask = fia.find(pipe, "cat", **FAST)
    assert not any("adapter" in message for message in messages)
    assert mask.provenance[0]["adapters"] == {}
    assert mask.fingerprint == fia.find(tiny_sd(), "cat", **FAST).fingerprint
