"""The models of the benchmarks: the embedded one, and U-Nets of Stable Diffusion's sizes with random weights."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from masks import sd15_unet
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import fia
from fia.testbed.clip import load_tokenizer


@dataclass(frozen=True)
class Model:
    """A model to measure: the embedded one, or one with random weights.

    Attributes:
        name: testbed, SD 1.5 or SDXL.
        side: side of the latents. SD 1.5 is trained at 64, SDXL at 128.
        dtype: type of the weights.
        device: device that the model runs on.
    """

    name: str
    side: int = 8
    dtype: str = "float32"
    device: str = "cpu"

    def load(self) -> Any:
        """Returns the model's pipeline."""
        build = {"testbed": lambda _: fia.load_testbed(), "SD 1.5": random_sd15, "SDXL": random_sdxl}[self.name]
        return build(self.side).to(self.device, getattr(torch, self.dtype))

    def __str__(self) -> str:
        return f"{self.name}, {8 * self.side}x{8 * self.side}, {self.dtype}, {self.device}"


def small_autoencoder() -> AutoencoderKL:
    """Returns an autoencoder with the shape of Stable Diffusion's latents. It never runs."""
    blocks = 4
    return AutoencoderKL(
        latent_channels=4,
        block_out_channels=(32,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
    )


def text_config(width: int) -> CLIPTextConfig:
    """Returns the config of a text encoder with two layers, because only its width matters to the denoiser."""
    tokenizer = load_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=2,
        num_attention_heads=width // 64,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=width,
        eos_token_id=tokenizer.eos_token_id,
    )


def random_sd15(side: int) -> StableDiffusionPipeline:
    """Returns a pipeline with a U-Net of Stable Diffusion 1.5's size."""
    unet = sd15_unet()
    unet.register_to_config(sample_size=side)
    return StableDiffusionPipeline(
        vae=small_autoencoder(),
        text_encoder=CLIPTextModel(text_config(768)),
        tokenizer=load_tokenizer(),
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl_unet(side: int) -> UNet2DConditionModel:
    """Returns a U-Net of Stable Diffusion XL's size."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=side,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
    )


def random_sdxl(side: int) -> StableDiffusionXLPipeline:
    """Returns a pipeline with a U-Net of SDXL's size. It is created in bfloat16; float32 does not fit the memory."""
    torch.set_default_dtype(torch.bfloat16)
    try:
        unet = sdxl_unet(side)
    finally:
        torch.set_default_dtype(torch.float32)
    return StableDiffusionXLPipeline(
        vae=small_autoencoder(),
        text_encoder=CLIPTextModel(text_config(768)),
        tokenizer=load_tokenizer(),
        text_encoder_2=CLIPTextModelWithProjection(text_config(1280)),
        tokenizer_2=load_tokenizer(),
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        add_watermarker=False,
    )
