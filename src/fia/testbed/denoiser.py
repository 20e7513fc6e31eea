"""The embedded model's U-Net, and how it, or a transformer in its place, is trained.

As in Stable Diffusion, the U-Net has cross-attention at the full latent resolution, 8x8, and below.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from tqdm.auto import tqdm, trange
from transformers import CLIPTextModel, CLIPTokenizer

from .autoencoder import LATENT_CHANNELS, LATENT_SIZE
from .clip import TEXT_WIDTH
from .scenes import Scenes
from .stage import seeded

CAPTION_DROPOUT = 0.1  # for classifier-free guidance
MAX_LOSS_WEIGHT = 10.0
POOL_SIZE = 16_384  # scenes to render and encode at once, because rendering costs as much as training
POOL_IMAGES = 8 * POOL_SIZE  # training images from one pool, each with its own timestep and noise
Denoiser: TypeAlias = UNet2DConditionModel | PixArtTransformer2DModel | SD3Transformer2DModel


def build_unet() -> UNet2DConditionModel:
    """Returns an untrained U-Net (10.0M parameters): 6 feed-forward blocks of 384 channels at 8x8, 8 of 640 at 4x4."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(96, 160),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        transformer_layers_per_block=2,
        attention_head_dim=(3, 5),  # diffusers calls it so, but these are the numbers of heads
        cross_attention_dim=TEXT_WIDTH,
        use_linear_projection=True,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Returns Stable Diffusion's noise schedule, for a model that predicts the clean latents."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="sample",
    )


@dataclass(frozen=True)
class Text:
    """Captions as the text encoder sees them.

    Attributes:
        states: the state of each token (n, 24, 160), bfloat16.
        is_word: 1 for a token that is not padding, else 0 (n, 24).
        pooled: the state of each caption's end (n, 160), bfloat16.
    """

    states: Tensor
    is_word: Tensor
    pooled: Tensor

    def __getitem__(self, index: Tensor) -> "Text":
        return Text(self.states[index], self.is_word[index], self.pooled[index])

    def where(self, dropped: Tensor, other: "Text") -> "Text":
        """Returns the captions of `other` where `dropped` (n, 1) says so."""
        return Text(
            torch.where(dropped[..., None], other.states, self.states),
            torch.where(dropped, other.is_word, self.is_word),
            torch.where(dropped, other.pooled, self.pooled),
        )


Predictor = Callable[[Tensor, Tensor, Text], Tensor]  # of noisy latents, timesteps and texts


def predictor(denoiser: Denoiser, *, compiled: bool) -> Predictor:
    """Returns what calls a denoiser in the way of its architecture."""
    if compiled:
        warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")  # in diffusers
    predict = torch.compile(denoiser) if compiled else denoiser

    def call(noisy: Tensor, timesteps: Tensor, text: Text) -> Tensor:
        own: dict[str, Any] = {"encoder_hidden_states": text.states.float()}
        if isinstance(denoiser, PixArtTransformer2DModel):
            own["encoder_attention_mask"] = text.is_word
            own["added_cond_kwargs"] = {"resolution": None, "aspect_ratio": None}
        elif isinstance(denoiser, SD3Transformer2DModel):
            own["pooled_projections"] = text.pooled.float()
        predicted: Tensor = predict(noisy, timestep=timesteps, **own).sample.float()
        return predicted

    return call


def denoising_loss(predict: Predictor, latents: Tensor, text: Text, generator: torch.Generator) -> Tensor:
    """Returns the squared error of the predicted clean latents times 1 / (1 - alpha_bar), at most MAX_LOSS_WEIGHT."""
    device, scheduler = latents.device, build_scheduler()
    noise = torch.randn(latents.shape, generator=generator).to(device)
    timesteps = torch.randint(1000, (len(latents),), generator=generator).to(device)
    noisy = scheduler.add_noise(latents, noise, timesteps).contiguous(memory_format=torch.channels_last)
    weight = (1 / (1 - scheduler.alphas_cumprod.to(device)[timesteps])).clamp(max=MAX_LOSS_WEIGHT)
    errors: Tensor = (predict(noisy, timesteps, text) - latents).square().mean(dim=(1, 2, 3))
    loss: Tensor = (errors * weight).mean()
    return loss


def flow_loss(predict: Predictor, latents: Tensor, text: Text, generator: torch.Generator) -> Tensor:
    """Returns the squared error of the predicted flow from the latents to noise, as for Stable Diffusion 3.

    At time t in (0, 1) the noisy latents are (1 - t) latents + t noise, and the flow is noise - latents. t is the
    sigmoid of a normal number, so that the middle is seen most (Esser et al., arXiv 2403.03206, section 3.1).
    """
    device = latents.device
    noise = torch.randn(latents.shape, generator=generator).to(device)
    time = torch.randn(len(latents), generator=generator).sigmoid().to(device)
    noisy = torch.lerp(latents, noise, time[:, None, None, None])
    loss: Tensor = (predict(noisy, 1000 * time, text) - (noise - latents)).square().mean()
    return loss


class DenoiserTask(nn.Module):
    """The loss of a denoiser on scenes that are rendered as training goes on."""

    def __init__(
        self,
        denoiser: Denoiser,
        autoencoder: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scenes: Scenes,
        batch_size: int,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.predict = predictor(denoiser, compiled=compiled)
        self.loss = flow_loss if isinstance(denoiser, SD3Transformer2DModel) else denoising_loss
        self.frozen = (autoencoder.requires_grad_(False), text_encoder.requires_grad_(False))
        self.tokenizer, self.scenes, self.batch_size, self.compiled = tokenizer, scenes, batch_size, compiled
        self.pool_number = -1
        self.latents = torch.empty(0)

    def forward(self, step: int) -> Tensor:
        pool_number = step * self.batch_size // POOL_IMAGES
        if pool_number != self.pool_number:
            self.fill_pool(seeded("pool", pool_number))
            if self.compiled and self.pool_number < 0:
                tqdm.write("Compiling the denoiser takes minutes; --no-compile begins at once.", file=sys.stderr)
            self.pool_number = pool_number
        generator = seeded("denoiser", step)
        device = self.latents.device
        index = torch.randint(len(self.latents), (self.batch_size,), generator=generator).to(device)
        dropped = (torch.rand(self.batch_size, 1, generator=generator) < CAPTION_DROPOUT).to(device)
        text = self.text[index].where(dropped, self.no_text)
        return self.loss(self.predict, self.latents[index].float(), text, generator)

    @torch.no_grad()
    def fill_pool(self, generator: torch.Generator) -> None:
        """Renders POOL_SIZE scenes. Keeps their latents (24, 8, 8) and their captions as encoded by `encode_text`."""
        autoencoder, _ = self.frozen
        latents, captions = [], []
        for _ in trange(0, POOL_SIZE, 128, desc="rendering", leave=False):
            batch = self.scenes.sample(128, generator)
            images = batch.images.contiguous(memory_format=torch.channels_last)
            latents.append(autoencoder.encode(images).latent_dist.mean * autoencoder.config.scaling_factor)
            captions += batch.captions
        parts = [self.encode_text(captions[i : i + 128]) for i in range(0, POOL_SIZE, 128)]
        self.latents = torch.cat(latents)
        self.text = Text(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Text)))
        self.no_text = self.encode_text([""])

    def encode_text(self, captions: list[str]) -> Text:
        """Returns captions as the text encoder sees them."""
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        _, text_encoder = self.frozen
        tokens = tokens.to(text_encoder.device)
        seen = text_encoder(tokens.input_ids)
        return Text(seen.last_hidden_state.bfloat16(), tokens.attention_mask.float(), seen.pooler_output.bfloat16())
