"""The embedded model's U-Net, and how it, or the transformer in its place, is trained.

As in Stable Diffusion, the U-Net has cross-attention at the full latent resolution, 8x8, and below.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, PixArtTransformer2DModel, UNet2DConditionModel
from torch import Tensor, nn
from tqdm.auto import trange
from transformers import CLIPTextModel, CLIPTokenizer

from .autoencoder import LATENT_CHANNELS, LATENT_SIZE
from .clip import TEXT_WIDTH
from .scenes import Scenes
from .stage import seeded

CAPTION_DROPOUT = 0.1  # for classifier-free guidance
MAX_LOSS_WEIGHT = 10.0
POOL_SIZE = 16_384  # scenes to render and encode at once, because rendering costs as much as training
POOL_IMAGES = 8 * POOL_SIZE  # training images from one pool, each with its own timestep and noise


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


class DenoiserTask(nn.Module):
    """The loss: squared error of the predicted clean latents times 1 / (1 - alpha_bar), at most MAX_LOSS_WEIGHT."""

    def __init__(
        self,
        denoiser: UNet2DConditionModel | PixArtTransformer2DModel,
        autoencoder: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scenes: Scenes,
        batch_size: int,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.predict = torch.compile(denoiser) if compiled else denoiser
        self.sees_padding = isinstance(denoiser, UNet2DConditionModel)
        self.frozen = (autoencoder.requires_grad_(False), text_encoder.requires_grad_(False))
        self.tokenizer, self.scenes, self.batch_size = tokenizer, scenes, batch_size
        self.scheduler = build_scheduler()
        self.pool_number = -1
        self.latents = torch.empty(0)
        self.text = self.no_text = (torch.empty(0), torch.empty(0))

    def forward(self, step: int) -> Tensor:
        pool_number = step * self.batch_size // POOL_IMAGES
        if pool_number != self.pool_number:
            self.fill_pool(seeded("pool", pool_number))
            self.pool_number = pool_number
        generator = seeded("denoiser", step)
        device = self.latents.device
        index = torch.randint(len(self.latents), (self.batch_size,), generator=generator).to(device)
        dropped = (torch.rand(self.batch_size, 1, 1, generator=generator) < CAPTION_DROPOUT).to(device)
        latents = self.latents[index].float()
        (states, is_word), (no_states, is_no_word) = self.text, self.no_text
        text: dict[str, Any] = {"encoder_hidden_states": torch.where(dropped, no_states, states[index]).float()}
        if not self.sees_padding:
            text["encoder_attention_mask"] = torch.where(dropped[:, 0], is_no_word, is_word[index])
            text["added_cond_kwargs"] = {"resolution": None, "aspect_ratio": None}
        noise = torch.randn(latents.shape, generator=generator).to(device)
        timesteps = torch.randint(1000, (self.batch_size,), generator=generator).to(device)
        noisy = self.scheduler.add_noise(latents, noise, timesteps).contiguous(memory_format=torch.channels_last)
        predicted = self.predict(noisy, timestep=timesteps, **text).sample.float()
        alpha_bar = self.scheduler.alphas_cumprod.to(device)[timesteps]
        weight = (1 / (1 - alpha_bar)).clamp(max=MAX_LOSS_WEIGHT)
        loss: Tensor = ((predicted - latents).square().mean(dim=(1, 2, 3)) * weight).mean()
        return loss

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
        states, are_words = zip(*parts, strict=True)
        self.latents, self.text = torch.cat(latents), (torch.cat(states), torch.cat(are_words))
        self.no_text = self.encode_text([""])

    def encode_text(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Returns the token states (n, 24, 160) of captions, bfloat16, and which tokens are not padding (n, 24)."""
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        _, text_encoder = self.frozen
        tokens = tokens.to(text_encoder.device)
        return text_encoder(tokens.input_ids).last_hidden_state.bfloat16(), tokens.attention_mask.float()
