"""Erased Stable Diffusion, ESD (Gandikota et al., ICCV 2023, arXiv 2303.07345): fine-tunes the concept away.

A copy of the denoiser learns to predict, for the concept's name, the opposite of the frozen original's direction:

    e'(x_t, c, t)  ->  e(x_t, t) - eta (e(x_t, c, t) - e(x_t, t))

The copy itself generates x_t, from noise down to a random step t, with the concept's name as the prompt. ESD-x trains
the cross-attentions. It suits concepts that a prompt names (objects, styles). ESD-u trains everything else. It suits
concepts that should disappear even if the prompt does not name them.

The formula is about noise predictions. A network that predicts clean latents, like the embedded model,
predicts a linear function of the noise at a given x_t, and the formula's coefficients add up to one. So the same
formula holds for it.
We train several concepts together, with a random one for each row of a batch; the paper trains one at a time. It costs
a copy of the denoiser, its gradients and Adam's two moments, and `iterations` partial generations.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import ClassVar, Literal, get_args

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..concepts import Concept
from ..edits.weight_edit import WeightEdit
from ..errors import DataError, UnsupportedError, UsageError
from ..models.layers import cross_attentions
from ..models.pipelines import get_unet
from ..settings import check_at_least_one
from .text_embeddings import embed

Variant = Literal["x", "u"]


def erased_target(unconditional: Tensor, conditional: Tensor, negative_guidance: float) -> Tensor:
    """Returns e - eta (e_c - e), the target of the copy's prediction for the concept.

    Args:
        unconditional: e, the original's prediction for the empty prompt.
        conditional: e_c, the original's prediction for the concept.
        negative_guidance: eta.
    """
    return unconditional - negative_guidance * (conditional - unconditional)


@dataclass(frozen=True)
class ESD:
    """Fine-tuning away from the model's own guidance.

    Attributes:
        variant: "x" trains the cross-attentions, "u" everything else.
        iterations: number of optimiser steps.
        batch_size: rows of one iteration. They share their step t.
        learning_rate: learning rate of Adam, above 0.
        negative_guidance: eta, at least 0.
        start_guidance: classifier-free guidance scale of the generation of x_t, at least 0.
        num_inference_steps: number of steps of a whole generation. x_t is a part of one.
        seed: seed of the noise, the steps and the choice of concepts.
    """

    variant: Variant = "x"
    iterations: int = 1000
    batch_size: int = 1
    learning_rate: float = 1e-5
    negative_guidance: float = 1.0
    start_guidance: float = 3.0
    num_inference_steps: int = 50
    seed: int = 0
    paper: ClassVar[str] = "Gandikota et al., Erasing Concepts from Diffusion Models, arXiv 2303.07345"

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant):
            raise UsageError(f"variant={self.variant!r} is not one of {', '.join(get_args(Variant))}.")
        check_at_least_one(self, "iterations", "batch_size", "num_inference_steps")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"learning_rate={self.learning_rate}; it must be a number above 0.")
        for name in ("negative_guidance", "start_guidance"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)} is outside [0, inf).")

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the trained weights. The method does not use `keep`.

        Raises:
            TypeError: see `check`.
            ValueError: if the loss is not finite.
        """
        original = self.check(pipe)
        trained = copy.deepcopy(original)
        trained.requires_grad_(False)
        chosen = self.trained_parameters(trained)
        for parameter in chosen.values():
            parameter.requires_grad_(True)
        optimizer = torch.optim.Adam(chosen.values(), lr=self.learning_rate)
        texts, empty = embed(pipe, [concept.name for concept in concepts]), embed(pipe, [""])
        generator = torch.Generator().manual_seed(self.seed)
        for _ in tqdm(range(self.iterations), f"ESD-{self.variant}", unit="iteration"):
            rows = torch.randint(len(texts), (self.batch_size,), generator=generator)
            step = int(torch.randint(self.num_inference_steps, (1,), generator=generator))
            text, nothing = texts[rows.to(texts.device)], empty.expand(self.batch_size, -1, -1)
            with torch.no_grad():
                latents, timestep = self.partly_denoised(pipe, trained, text, nothing, step, generator)
                unconditional, conditional = predict(original, latents, timestep, nothing, text)
                target = erased_target(unconditional, conditional, self.negative_guidance)
            loss = nn.functional.mse_loss(trained(latents, timestep, text).sample, target)
            if not loss.isfinite():
                raise DataError(f"ESD's loss is {loss.item()}; use a smaller learning_rate than {self.learning_rate}.")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return WeightEdit({name: parameter.detach() for name, parameter in chosen.items()})

    def check(self, pipe: DiffusionPipeline) -> UNet2DConditionModel:
        """Returns the U-Net of a pipeline, if it can be trained.

        Raises:
            TypeError: if the denoiser takes more than text, like Stable Diffusion XL's, or is not in float32.
        """
        original = get_unet(pipe)
        if original.config.addition_embed_type is not None:
            raise UnsupportedError(
                f"ESD needs a denoiser that takes only text; that of a {type(pipe).__name__} takes more."
            )
        if original.dtype != torch.float32:
            raise UnsupportedError(
                f"ESD trains, and {original.dtype} is too coarse for that; load the model in float32."
            )
        return original

    def trained_parameters(self, denoiser: nn.Module) -> dict[str, nn.Parameter]:
        """Returns the parameters that the variant trains, by name."""
        prefixes = tuple(f"{name}." for name in cross_attentions(denoiser))
        return {
            name: parameter
            for name, parameter in denoiser.named_parameters()
            if name.startswith(prefixes) == (self.variant == "x")
        }

    def partly_denoised(
        self,
        pipe: DiffusionPipeline,
        denoiser: UNet2DConditionModel,
        text: Float[Tensor, "rows tokens width"],
        nothing: Float[Tensor, "rows tokens width"],
        steps: int,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "rows channels side side"], Tensor]:
        """Returns latents after `steps` steps with the text, scaled for the denoiser, and the next timestep."""
        scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
        scheduler.set_timesteps(self.num_inference_steps, device=text.device)
        channels, side = denoiser.config.in_channels, denoiser.config.sample_size
        noise = torch.randn(len(text), channels, side, side, generator=generator)
        latents = noise.to(text.device, text.dtype) * scheduler.init_noise_sigma
        random = {"generator": generator} if "generator" in signature(scheduler.step).parameters else {}
        for timestep in scheduler.timesteps[:steps]:
            scaled = scheduler.scale_model_input(latents, timestep)
            unconditional, conditional = predict(denoiser, scaled, timestep, nothing, text)
            guided = unconditional + self.start_guidance * (conditional - unconditional)
            latents = scheduler.step(guided, timestep, latents, **random).prev_sample
        timestep = scheduler.timesteps[steps]
        return scheduler.scale_model_input(latents, timestep), timestep


def predict(
    denoiser: UNet2DConditionModel, latents: Tensor, timestep: Tensor, nothing: Tensor, text: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the denoiser's predictions without and with the text."""
    output: Tensor = denoiser(torch.cat([latents, latents]), timestep, torch.cat([nothing, text])).sample
    unconditional, conditional = output.chunk(2)
    return unconditional, conditional
