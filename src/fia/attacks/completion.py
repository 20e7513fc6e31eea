"""Completion (Lu et al., When Are Concepts Erased From Diffusion Models?, arXiv 2505.17013).

The original model draws the first steps of an image, and the edited one goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..methods.text_embeddings import embed
from ..models.pipelines import hidden_progress_bar
from .interface import Attack, Case, Group, Learned, Needs


@dataclass(frozen=True)
class Completion(Attack):
    """The original begins, the edited model goes on."""

    title: ClassVar[str] = "completion"
    paper: ClassVar[str] = "Lu et al., arXiv 2505.17013"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "drawing"

    steps: tuple[int, ...] = (5, 10)
    """how many steps the original draws; each is measured"""

    def __post_init__(self) -> None:
        if not self.steps or min(self.steps) < 1:
            raise UsageError(f"steps={self.steps} of completion; give numbers of steps, at least 1.")

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"after {steps} steps" for steps in self.steps)

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError if no step would be left for the edited model."""
        if max(self.steps) >= drawing.num_inference_steps:
            raise UsageError(
                f"steps={self.steps} of completion, but an image has {drawing.num_inference_steps} steps; leave some "
                "for the edited model."
            )

    @torch.no_grad()
    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws with one pipeline, whose denoiser and text are exchanged after the original's last step."""
        steps, prompts = self.steps[self.variants.index(variant)], [request.prompt for request in requests]
        pipe = StableDiffusionPipeline(**case.original.components, requires_safety_checker=False)
        text, nothing = embed(case.victim, prompts), embed(case.victim, [""]).expand(len(prompts), -1, -1)

        def exchange(pipe: Any, step: int, _: object, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            if step + 1 == steps:
                pipe.unet = case.victim.unet
                is_guided = len(tensors["prompt_embeds"]) == 2 * len(text)
                tensors["prompt_embeds"] = torch.cat([nothing, text]) if is_guided else text
            return tensors

        scale = case.drawing.guidance_scale
        guidance = {} if scale is None else {"guidance_scale": scale}
        with hidden_progress_bar(pipe), case.drawing.precision(pipe):
            images: list[Image.Image] = pipe(
                prompt=prompts,
                generator=[torch.Generator().manual_seed(request.seed) for request in requests],
                num_inference_steps=case.drawing.num_inference_steps,
                callback_on_step_end=exchange,
                callback_on_step_end_tensor_inputs=["prompt_embeds"],
                **guidance,
            ).images
        return images
