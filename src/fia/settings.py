"""Every setting of the method, with its default, in one place; a mask records the ones it was made with."""

from dataclasses import dataclass
from typing import Literal, get_args

from .errors import UsageError

Magnitude = Literal["raw", "max"]
Mode = Literal["default", "paper"]


def check_at_least_one(config: object, *names: str) -> None:
    """Raises ValueError for the first of these fields that is below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise UsageError(f"{name}={getattr(config, name)}; it must be at least 1.")


@dataclass(frozen=True)
class Settings:
    """How neurons are found and fused. The symbols are those of the paper and of docs/method.md."""

    mode: Mode = "default"
    """In "paper" mode, names that the paper forgets take its kind, r1, r2 for them. The rest is the paper's anyway."""
    spatial_ratio: float = 0.03
    """r2 in [0, 1]: the share of a row's, and of a layer's, connections that a concept may claim (Eq. 4, 5)."""
    temporal_ratio: float = 0.05
    """r1 in [0, 1]: the share of a layer's connections that count as active at a step (Eq. 3)."""
    agnostic_ratio: float | None = None
    """alpha: connections that this share of the concepts (and at least two) claim are spared (Eq. 8); over 1: none.
    The paper's by default: 0.8 where all concepts are styles, otherwise 0.6."""
    prompts_per_concept: int = 5
    """Different prompts a concept is looked for with; the paper calls five enough."""
    seeds_per_prompt: int = 1
    """Seeds each of these prompts is run with. The paper leaves it open."""
    seed: int = 0
    """Seed of the first prompt; the others count up from it."""
    num_inference_steps: int = 50
    """Denoising steps of a whole generation; only the first `saliency_steps` are run."""
    saliency_steps: int = 10
    """T: the first steps, over which the saliency is integrated (Eq. 3)."""
    guidance_scale: float = 7.5
    """Classifier-free guidance while finding; statistics come from the conditional half alone."""
    magnitude: Magnitude = "raw"
    """First term of Eq. 3: "raw" as printed, or "max" for its quotient with the layer's largest."""
    layers: str | None = None
    """Layers to mask in place of the second linear of every feed-forward block: a pattern of names, such as
    "blocks.*.mlp.fc2". It also opens architectures that are not known (docs/families.md)."""
    count_ties: bool = False
    """Whether connections equal to the threshold tau of Eq. 3 count as active."""
    concepts_at_once: int = 5
    """Concepts that go through the steps together and share their base prompts. More take less time in all, and more
    memory: two float32 numbers a maskable connection each. No effect beyond rounding."""
    batch_size: int = 16
    """Rows that the denoiser works on at a time; halved by itself where memory runs out. No effect beyond rounding."""

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
                f"saliency_steps={self.saliency_steps} exceeds num_inference_steps={self.num_inference_steps}."
            )
        for name, allowed in (("magnitude", get_args(Magnitude)), ("mode", get_args(Mode))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name}={getattr(self, name)!r} is not one of {', '.join(allowed)}.")
