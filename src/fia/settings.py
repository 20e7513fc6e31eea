"""Every setting of the method, with its default. A mask records the settings it was found with."""

from dataclasses import dataclass
from typing import Literal, get_args

from .errors import UsageError

Magnitude = Literal["raw", "max"]
Mode = Literal["default", "paper"]


def check_at_least_one(config: object, *names: str) -> None:
    """Raises ValueError if one of these fields is below 1; the message names the first."""
    for name in names:
        if getattr(config, name) < 1:
            raise UsageError(f"{name}={getattr(config, name)}; it must be at least 1.")


@dataclass(frozen=True)
class Settings:
    """How neurons are found and fused. The symbols are those of the paper and of docs/method.md."""

    mode: Mode = "default"
    """In "paper" mode, concepts that the paper forgets get its kind, r1 and r2. The other defaults are the paper's."""
    spatial_ratio: float = 0.03
    """r2 in [0, 1]: the share of the connections of a row, and of a layer, that a concept may claim (Eq. 4, 5)."""
    temporal_ratio: float = 0.05
    """r1 in [0, 1]: the share of a layer's connections that count as active at a step (Eq. 3)."""
    agnostic_ratio: float | None = None
    """alpha: a connection is spared if this share of the concepts, and at least two, claim it (Eq. 8). Above 1, nothing
    is spared. The default is the paper's: 0.8 if all concepts are styles, otherwise 0.6."""
    prompts_per_concept: int = 5
    """Number of different prompts to find a concept with. The paper calls five enough."""
    seeds_per_prompt: int = 1
    """Number of seeds for each of these prompts. The paper leaves it open."""
    seed: int = 0
    """Seed of the first prompt. The others count up from it."""
    num_inference_steps: int = 50
    """Denoising steps of a whole generation. Only the first `saliency_steps` of them run."""
    saliency_steps: int = 10
    """T: number of first steps over which the saliency is integrated (Eq. 3)."""
    guidance_scale: float = 7.5
    """Classifier-free guidance while finding. Only the conditional half counts for the statistics."""
    magnitude: Magnitude = "raw"
    """First term of Eq. 3: "raw" as printed, or "max" to divide it by the largest value of the layer."""
    layers: str | None = None
    """A pattern of layer names, such as "blocks.*.mlp.fc2". It replaces the second linear of every feed-forward block,
    and lets you mask unknown architectures (docs/families.md)."""
    count_ties: bool = False
    """Whether connections equal to the threshold tau of Eq. 3 count as active."""
    concepts_at_once: int = 5
    """Concepts that go through the steps together and share their base prompts. More save time but need more memory:
    two float32 numbers for each concept and maskable connection. It changes the result only by rounding."""
    batch_size: int = 16
    """Rows in the denoiser at a time. It is halved if the memory runs out. It changes the result only by rounding."""

    def __post_init__(self) -> None:
        for name in ("spatial_ratio", "temporal_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)} is outside [0, 1].")
        if self.agnostic_ratio is not None and not 0 <= self.agnostic_ratio < float("inf"):
            raise UsageError(f"agnostic_ratio={self.agnostic_ratio} is outside [0, inf); above 1, nothing is spared.")
        numbers = ("prompts_per_concept", "seeds_per_prompt", "num_inference_steps", "saliency_steps")
        check_at_least_one(self, *numbers, "concepts_at_once", "batch_size")
        if self.saliency_steps > self.num_inference_steps:
            raise UsageError(
                f"saliency_steps={self.saliency_steps} exceeds num_inference_steps={self.num_inference_steps}; give at "
                "most that many."
            )
        for name, allowed in (("magnitude", get_args(Magnitude)), ("mode", get_args(Mode))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name}={getattr(self, name)!r} is not one of {', '.join(allowed)}.")
