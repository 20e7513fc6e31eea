"""The embedded model's autoencoder: 64x64 pixels to 8x8 latents of 24 channels, Stable Diffusion's factor of 8."""

import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from .places import IMAGE_SIZE
from .scenes import Scenes
from .stage import seeded

LATENT_CHANNELS = 24
LATENT_SIZE = 8
KL_WEIGHT = 3e-4  # small: the latents keep about 0.1 of noise, which makes them smooth and loses no detail


def build_autoencoder() -> AutoencoderKL:
    """Returns an untrained AutoencoderKL without attention (3.8M parameters). Its residual branches start at zero."""
    widths = (32, 64, 128, 128)
    autoencoder = AutoencoderKL(
        latent_channels=LATENT_CHANNELS,
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        mid_block_add_attention=False,
    )
    for module in autoencoder.modules():
        if isinstance(module, ResnetBlock2D):
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.bias)
    return autoencoder


class AutoencoderTask(nn.Module):
    """The loss: absolute and squared error of pixels, error of their differences (edges), a little KL divergence."""

    def __init__(self, autoencoder: AutoencoderKL, scenes: Scenes, batch_size: int) -> None:
        super().__init__()
        self.autoencoder, self.scenes, self.batch_size = autoencoder, scenes, batch_size

    def forward(self, step: int) -> Tensor:
        generator = seeded("autoencoder", step)
        images = self.scenes.sample(self.batch_size, generator).images
        images = images.contiguous(memory_format=torch.channels_last)
        posterior = self.autoencoder.encode(images).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(images.device)
        error = self.autoencoder.decode(posterior.mean + posterior.std * noise).sample.float() - images
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        kl = posterior.kl().float().mean() / images[0].numel()
        loss: Tensor = error.abs().mean() + 4 * error.square().mean() + 0.5 * edges + KL_WEIGHT * kl
        return loss


@torch.no_grad()
def set_scaling_factor(autoencoder: AutoencoderKL, scenes: Scenes) -> None:
    """Records the factor that scales latents to unit variance, as diffusers pipelines expect."""
    images = scenes.sample(512, torch.Generator().manual_seed(0)).images
    std = autoencoder.encode(images).latent_dist.mean.std()
    autoencoder.register_to_config(scaling_factor=1 / std.item())
