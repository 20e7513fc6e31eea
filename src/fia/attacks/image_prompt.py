"""Image prompt: image to image (SDEdit, Meng et al., arXiv 2108.01073) from a picture of the concept.

At a low strength little is changed, and any model returns the picture: read it beside the model that never knew the
concept, or a random edit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..models.pipelines import hidden_progress_bar
from ..settings import check_at_least_one
from .interface import Attack, Case, Group, Learned, Needs


@dataclass(frozen=True)
class ImagePrompt(Attack):
    """Image to image from a picture of the concept."""

    title: ClassVar[str] = "image prompt"
    paper: ClassVar[str] = "Meng et al., SDEdit, arXiv 2108.01073"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "drawing"

    strengths: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    """share of the steps that the edited model draws, above 0 and at most 1; each is measured"""
    pictures: int = 8
    """pictures to start from"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "pictures")
        if not self.strengths or not all(0 < strength <= 1 for strength in self.strengths):
            raise UsageError(f"strengths={self.strengths} of the image prompt; give numbers above 0 and at most 1.")

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"strength {strength:g}" for strength in self.strengths)

    @property
    def number_of_pictures(self) -> int:
        return self.pictures

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError if a strength leaves no step to draw."""
        if int(min(self.strengths) * drawing.num_inference_steps) < 1:
            raise UsageError(
                f"strengths={self.strengths} of the image prompt leave no step of {drawing.num_inference_steps} to "
                "draw; give more steps (--num-inference-steps)."
            )

    @torch.no_grad()
    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws from the pictures in turn, with the prompt of the concept."""
        pipe = StableDiffusionImg2ImgPipeline(**case.victim.components, requires_safety_checker=False)
        pictures = [case.pictures[request.seed % len(case.pictures)].image for request in requests]
        scale = case.drawing.guidance_scale
        guidance = {} if scale is None else {"guidance_scale": scale}
        with hidden_progress_bar(pipe), case.drawing.precision(pipe):
            images: list[Image.Image] = pipe(
                prompt=[request.prompt for request in requests],
                image=pictures,
                strength=self.strengths[self.variants.index(variant)],
                generator=[torch.Generator().manual_seed(request.seed) for request in requests],
                num_inference_steps=case.drawing.num_inference_steps,
                **guidance,
            ).images
        return images
