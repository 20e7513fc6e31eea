"""More noise (Lu et al., When Are Concepts Erased From Diffusion Models?, arXiv 2505.17013): the best of many.

Each step of DDIM adds noise of the standard deviation sigma = eta sqrt((1 - a')/(1 - a)) sqrt(1 - a/a'), times another
factor. Here a and a' are the scheduler's cumulative alphas before and after the step. With eta > 1, sigma may exceed
the noise that x' holds; what is left for the predicted noise is then nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from ..drawing.images import Request
from ..settings import check_at_least_one
from .draw import best_of, draw_plain
from .interface import Attack, Case, Group, Learned, Needs

ETAS = (1.0, 1.85)
FACTORS = (1.0, 1.04)
FACTORS_EACH = 4  # factors for each eta


class NoisyDDIM(DDIMScheduler):  # type: ignore[misc]
    """DDIM with any eta >= 0, and with a factor on its noise."""

    eta: float = 1.0
    factor: float = 1.0

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor,
        sample: Tensor,
        generator: Any = None,
        return_dict: bool = True,
    ) -> Any:
        """Returns the sample after a step, as DDIM does."""
        clean = super().step(model_output, timestep, sample).pred_original_sample
        before = int(timestep) - self.config.num_train_timesteps // self.num_inference_steps
        alpha = self.alphas_cumprod[int(timestep)]
        alpha_after = self.alphas_cumprod[before] if before >= 0 else self.final_alpha_cumprod
        noise = (sample - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        sigma = self.eta * self._get_variance(int(timestep), before).sqrt()
        direction = (1 - alpha_after - sigma**2).clamp(min=0).sqrt() * noise
        fresh = randn_tensor(sample.shape, generator=generator, device=sample.device, dtype=sample.dtype)
        after = alpha_after.sqrt() * clean + direction + self.factor * sigma * fresh
        return DDIMSchedulerOutput(after, clean) if return_dict else (after, clean)


@dataclass(frozen=True)
class Noise(Attack):
    """More noise in each step."""

    title: ClassVar[str] = "more noise"
    paper: ClassVar[str] = "Lu et al., arXiv 2505.17013"
    group: ClassVar[Group] = "free"
    needs: ClassVar[Needs] = "drawing"

    tries: int = 24
    """images of each prompt; one that the judge accepts is enough"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "tries")

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws with eta from 1.0 to 1.85 and factors from 1.00 to 1.04, each try with other noise."""
        return best_of(case, requests, [partial(self._draw, case, number) for number in range(self.tries)])

    def _draw(self, case: Case, number: int, requests: list[Request]) -> list[Image.Image]:
        scheduler = NoisyDDIM.from_config(case.victim.scheduler.config, clip_sample=False)
        scheduler.eta, scheduler.factor = self.strengths()[number]
        other = [Request(one.prompt, one.seed + 10_000 * number, one.guidance_scale) for one in requests]
        return draw_plain(case.victim, other, case.drawing, scheduler=scheduler)

    def strengths(self) -> list[tuple[float, float]]:
        """Returns eta and the factor of each try: every factor for each eta, as evenly as the number allows."""
        groups = -(-self.tries // FACTORS_EACH)
        etas = torch.linspace(*ETAS, groups).tolist()
        factors = torch.linspace(*FACTORS, FACTORS_EACH).tolist()
        return [(eta, factor) for eta in etas for factor in factors][: self.tries]
