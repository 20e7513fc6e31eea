"""The error of a denoiser's prediction, which attacks with gradients make small.

A denoiser predicts the noise, the clean latents, or the velocity. The error is that of whatever it predicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError, UnsupportedError, UsageError

Latents = Float[Tensor, "n channels side side"]


def check_trainable(pipe: StableDiffusionPipeline) -> None:
    """Raises TypeError if a pipeline's denoiser is not in float32."""
    if pipe.unet.dtype != torch.float32:
        raise UnsupportedError(
            f"This attack needs gradients, and {pipe.unet.dtype} is too coarse for them; load the model in float32 "
            "(--dtype float32)."
        )


def check_rate(title: str, learning_rate: float) -> None:
    """Raises ValueError if the learning rate of an attack with this title is not above 0."""
    if not learning_rate > 0:
        raise UsageError(f"learning_rate={learning_rate} of {title}; it must be above 0.")


@torch.no_grad()
def clean_latents(pipe: StableDiffusionPipeline, images: Sequence[Image.Image]) -> Latents:
    """Returns the latents of images, scaled for the denoiser."""
    pixels = pipe.image_processor.preprocess(list(images)).to(pipe.vae.device, pipe.vae.dtype)
    latents: Tensor = pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor
    return latents


@dataclass(frozen=True, eq=False)
class Denoising:
    """The noise schedule of a pipeline, and what its denoiser predicts."""

    pipe: StableDiffusionPipeline

    @cached_property
    def scheduler(self) -> DDIMScheduler:
        """The pipeline's noise schedule."""
        return DDIMScheduler.from_config(self.pipe.scheduler.config)

    def noisy(
        self, latents: Latents, generator: torch.Generator, timesteps: Int[Tensor, " n"]
    ) -> tuple[Latents, Latents]:
        """Returns the latents with noise, and what the denoiser should predict for them."""
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        kind = self.scheduler.config.prediction_type
        target = latents if kind == "sample" else noise
        if kind == "v_prediction":
            target = self.scheduler.get_velocity(latents, noise, timesteps)
        return self.scheduler.add_noise(latents, noise, timesteps), target

    def random_timesteps(self, number: int, generator: torch.Generator) -> Int[Tensor, " number"]:
        """Returns uniform random timesteps on the pipeline's device."""
        most = self.scheduler.config.num_train_timesteps
        return torch.randint(most, (number,), generator=generator).to(self.pipe.device)

    def spread_timesteps(self, number: int) -> Int[Tensor, " number"]:
        """Returns timesteps spread evenly over the schedule, the noisiest first."""
        most = self.scheduler.config.num_train_timesteps
        return torch.linspace(most - 1, 0, number + 2)[1:-1].round().long().to(self.pipe.device)


def prediction_error(
    denoiser: UNet2DConditionModel, noisy: Latents, timesteps: Tensor, text: Tensor, target: Latents
) -> Tensor:
    """Returns the mean squared error of the denoiser's prediction.

    Raises:
        ValueError: if it is not finite.
    """
    loss = F.mse_loss(denoiser(noisy, timesteps, text).sample, target)
    if not loss.isfinite():
        raise DataError(f"The loss of an attack is {loss.item()}; give it a smaller learning rate.")
    return loss
