"""The test-bed's U-Net: a plain level on 8x8 latents, and a wide transformer level on 4x4 (11.9M parameters)."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .autoencoder import LATENT_CHANNELS, LATENT_SIZE
from .clip import TEXT_WIDTH
from .scenes import Scenes

CAPTION_DROPOUT = 0.1  # for classifier-free guidance
MAX_LOSS_WEIGHT = 10.0
DRAWS_PER_SCENE = 2  # of timestep and noise: rendering and encoding a scene costs a third of a training step


def build_unet() -> UNet2DConditionModel:
    """Returns an untrained U-Net with 8 feed-forward blocks of 768 neurons each."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(96, 192),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(1, 3),
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
    """Squared error of the predicted clean latents, weighted by 1 / (1 - alpha_bar), at most MAX_LOSS_WEIGHT."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        autoencoder: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scenes: Scenes,
        batch_size: int,
    ) -> None:
        super().__init__()
        if batch_size % DRAWS_PER_SCENE:
            raise ValueError(f"batch_size={batch_size} of the denoiser is not a multiple of {DRAWS_PER_SCENE}.")
        self.unet = unet
        self.frozen = (autoencoder.requires_grad_(False), text_encoder.requires_grad_(False))
        self.tokenizer, self.scenes, self.batch_size = tokenizer, scenes, batch_size
        self.scheduler = build_scheduler()

    def forward(self, generator: torch.Generator) -> Tensor:
        latents, text = self.encode(generator)
        device = latents.device
        noise = torch.randn(latents.shape, generator=generator).to(device)
        timesteps = torch.randint(1000, (self.batch_size,), generator=generator).to(device)
        noisy = self.scheduler.add_noise(latents, noise, timesteps).contiguous(memory_format=torch.channels_last)
        predicted = self.unet(noisy, timesteps, text).sample.float()
        alpha_bar = self.scheduler.alphas_cumprod.to(device)[timesteps]
        weight = (1 / (1 - alpha_bar)).clamp(max=MAX_LOSS_WEIGHT)
        return ((predicted - latents).square().mean(dim=(1, 2, 3)) * weight).mean()

    @torch.no_grad()
    def encode(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns latents (n, 16, 8, 8) of new scenes and of their captions the token states (n, 24, 192)."""
        autoencoder, text_encoder = self.frozen
        number = self.batch_size // DRAWS_PER_SCENE
        batch = self.scenes.sample(number, generator)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        latents = autoencoder.encode(images).latent_dist.mean.float() * autoencoder.config.scaling_factor
        dropped = (torch.rand(number, generator=generator) < CAPTION_DROPOUT).tolist()
        captions = ["" if drop else caption for drop, caption in zip(dropped, batch.captions, strict=True)]
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        text = text_encoder(tokens.input_ids.to(images.device)).last_hidden_state
        return latents.repeat(DRAWS_PER_SCENE, 1, 1, 1), text.repeat(DRAWS_PER_SCENE, 1, 1)
