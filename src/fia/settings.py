"""Every setting of the method, with its default. A mask records the settings it was found with."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from math import inf
from numbers import Integral, Real
from typing import Any, Literal, TypedDict, get_args

from .errors import ArgumentError, UsageError, did_you_mean

Magnitude = Literal["raw", "max"]
Mode = Literal["default", "paper", "authors-code"]
Value = Literal["rewrite", "zero"]
Sites = Literal["both", "feed-forward", "cross-attention"]
UNION = 1.01  # an alpha above 1 spares nothing
LARGEST_WEIGHT = 1e9
LARGEST_SEED = 2**63  # torch takes twice as much, but seeds count up from it
SYMBOLS = {
    "r1": "temporal_ratio",
    "r2": "spatial_ratio",
    "alpha": "agnostic_ratio",
    "mu": "retain_weight",
    "ratio": "spatial_ratio",
    "steps": "num_inference_steps",
}
"""Names of settings that people know from the paper or from elsewhere."""
LARGEST_ALPHA = 1e9  # anything above 1 is the union
LARGEST_MOMENT_RANK, LARGEST_RESPONSE_RANK = 48, 16  # half of what the sketches of docs/method.md, section 9, hold


def check_at_least_one(config: object, *names: str) -> None:
    """Raises ValueError if one of these fields is a number below 1; the message names the first."""
    for name in names:
        if getattr(config, name) is not None and getattr(config, name) < 1:
            raise UsageError(f"{name}={getattr(config, name)}; it must be at least 1.")


def check_numbers(config: object) -> None:
    """Raises ValueError if a field of a dataclass that should be a number is not one."""
    for own in fields(config):  # type: ignore[arg-type]
        kinds, value = get_args(own.type) or (own.type,), getattr(config, own.name)
        if value is None and type(None) in kinds:
            continue
        if int in kinds and (isinstance(value, bool) or not isinstance(value, Integral)):
            raise UsageError(f"{own.name}={value!r} is not a whole number.")
        if float in kinds and (isinstance(value, bool) or not isinstance(value, Real)):
            raise UsageError(f"{own.name}={value!r} is not a number.")


def check_names(names: Iterable[str]) -> None:
    """Raises TypeError if one of the names is not that of a setting; the message says which is close."""
    known = [own.name for own in fields(Settings)]
    for name in names:
        if name not in known:
            symbol = SYMBOLS.get(name.lower())
            guess = f" Did you mean {symbol!r}?" if symbol else did_you_mean(name, known)
            raise ArgumentError(f"There is no setting {name!r}.{guess} fia.Settings lists all of them.")


@dataclass(frozen=True)
class Settings:
    """How neurons are found and fused. The symbols are those of the paper and of docs/method.md."""

    mode: Mode = "default"
    """In "paper" mode, all defaults are the paper's, and concepts that the paper forgets get its kind, r1 and r2. In
    "authors-code" mode, the neurons are those of the authors' code, which departs from the paper (docs/method.md)."""
    edit: Value | None = None
    """What to do with the neurons: "rewrite" gives them the values that best return what the layer returns without the
    concept; "zero" sets them to zero, as the paper does. The default is "rewrite", and in the other modes "zero"."""
    sites: Sites | None = None
    """The places of the neurons: "feed-forward" (the second linear of every feed-forward block, as in the paper),
    "cross-attention" (the output of every attention to the text), or "both". The default is "both" to rewrite, and
    "feed-forward" for zeros."""
    spatial_ratio: float | None = None
    """r2 in [0, 1]: the share of the connections of a row, and of a layer, that a concept may claim (Eq. 4, 5). The
    default is 0.05 to rewrite, and the paper's 0.03 for zeros."""
    temporal_ratio: float = 0.05
    """r1 in [0, 1]: the share of a layer's connections that count as active at a step (Eq. 3)."""
    agnostic_ratio: float | None = None
    """alpha: a connection is spared if this share of the concepts, and at least two, claim it (Eq. 8). Above 1, nothing
    is spared, which is the default to rewrite. For zeros it is the paper's: 0.8 if all concepts are styles, otherwise
    0.6."""
    retain_weight: float = 1.5
    """mu > 0: the weight of what is retained against that of the concepts, if the neurons are rewritten."""
    target_scale: float = 1.0
    """g > 0: how far the outputs for a concept are to move towards those without it, if the neurons are rewritten. At 1
    they become these. Above 1 they go beyond, and a larger `retain_weight` can spare more for the same forgetting."""
    ridge: float = 0.01
    """lambda > 0: how strongly the new values are kept near the old ones."""
    moment_rank: int = 16
    """Eigenvectors that a mask keeps of each concept's inputs in a layer."""
    response_rank: int = 4
    """Singular vectors that a mask keeps of each concept's response in a layer. Fewer spare more of what nobody named,
    but forget less."""
    retained_words: int = 64
    """How many words of a list of things, persons, places and styles to retain, if the model's tokenizer has them. 0
    retains only the base prompts and the names to keep."""
    prompts_per_concept: int | None = None
    """Number of different prompts to find a concept with. The default is 5, which the paper calls enough, and in
    "authors-code" mode all that its kind has."""
    seeds_per_prompt: int = 1
    """Number of seeds for each of these prompts. The paper leaves it open."""
    seed: int | None = None
    """Seed of the first prompt. The others count up from it. The default is 0. In "authors-code" mode it is 1244, and
    all prompts share it."""
    num_inference_steps: int = 50
    """Denoising steps of a whole generation. Only the first `saliency_steps` of them run."""
    saliency_steps: int = 10
    """T: number of first steps over which the saliency is integrated (Eq. 3)."""
    guidance_scale: float = 7.5
    """Classifier-free guidance while finding. Only the conditional half counts for the statistics, but in
    "authors-code" mode both do."""
    magnitude: Magnitude | None = None
    """First term of Eq. 3: "raw" as printed, or "max" to divide it by the largest value of the layer. The default is
    "raw", and in "authors-code" mode "max"."""
    layers: str | None = None
    """Patterns of layer names, such as "blocks.*.mlp.fc2", separated by commas. Their layers replace those of `sites`,
    also in unknown architectures (docs/families.md)."""
    count_ties: bool = False
    """Whether connections equal to the threshold tau of Eq. 3 count as active."""
    concepts_at_once: int = 5
    """Concepts that go through the steps together and share their base prompts. More save time but need more memory:
    two float32 numbers for each concept and maskable connection. It changes the result only by rounding."""
    batch_size: int = 16
    """Rows in the denoiser at a time. It is halved if the memory runs out. It changes the result only by rounding."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.seed is not None and not 0 <= self.seed <= LARGEST_SEED:
            raise UsageError(f"seed={self.seed} is outside [0, {LARGEST_SEED}].")
        if not 0 <= self.guidance_scale < inf:
            raise UsageError(f"guidance_scale={self.guidance_scale} is outside [0, inf); up to 1 it is no guidance.")
        for name in ("spatial_ratio", "temporal_ratio"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)} is outside [0, 1].")
        for name in ("retain_weight", "target_scale", "ridge"):
            if not 0 < getattr(self, name) <= LARGEST_WEIGHT:
                raise UsageError(f"{name}={getattr(self, name)}; it must be above 0 and at most {LARGEST_WEIGHT:g}.")
        for name, most in (("moment_rank", LARGEST_MOMENT_RANK), ("response_rank", LARGEST_RESPONSE_RANK)):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(f"{name}={getattr(self, name)} is outside [1, {most}].")
        if self.retained_words < 0:
            raise UsageError(f"retained_words={self.retained_words}; it must be at least 0.")
        if self.agnostic_ratio is not None and not 0 <= self.agnostic_ratio <= LARGEST_ALPHA:
            raise UsageError(
                f"agnostic_ratio={self.agnostic_ratio} is outside [0, {LARGEST_ALPHA:g}]; above 1, nothing is spared."
            )
        numbers = ("prompts_per_concept", "seeds_per_prompt", "num_inference_steps", "saliency_steps")
        check_at_least_one(self, *numbers, "concepts_at_once", "batch_size")
        if self.saliency_steps > self.num_inference_steps:
            raise UsageError(
                f"saliency_steps={self.saliency_steps} exceeds num_inference_steps={self.num_inference_steps}; give "
                f"saliency_steps={self.num_inference_steps} (--saliency-steps {self.num_inference_steps}) or fewer, or "
                "more num_inference_steps."
            )
        choices = {"mode": get_args(Mode), "edit": (None, *get_args(Value)), "sites": (None, *get_args(Sites))}
        choices |= {"magnitude": (None, *get_args(Magnitude))}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name}={getattr(self, name)!r} is not one of {', '.join(filter(None, allowed))}.")
        if self.as_authors_code and (self.edit == "rewrite" or self.count_ties):
            raise UsageError(
                "mode='authors-code' sets the neurons to zero, and ties do not count. Leave out edit and count_ties, "
                "or take another mode."
            )

    @property
    def as_authors_code(self) -> bool:
        """Whether the neurons are those of the authors' code."""
        return self.mode == "authors-code"

    @property
    def is_zero(self) -> bool:
        """Whether the neurons become zero."""
        return self.edit == "zero" or (self.edit is None and self.mode != "default")

    def resolved(self, agnostic_ratio: float) -> "Settings":
        """Returns the settings with a value for every default that depends on others.

        Args:
            agnostic_ratio: the paper's alpha for the concepts.
        """
        zero, authors = self.is_zero, self.as_authors_code
        defaults: dict[str, Any] = {
            "edit": "zero" if zero else "rewrite",
            "sites": "feed-forward" if zero else "both",
            "spatial_ratio": 0.03 if zero else 0.05,
            "agnostic_ratio": agnostic_ratio if zero else UNION,
            "prompts_per_concept": None if authors else 5,
            "seed": 1244 if authors else 0,
            "magnitude": "max" if authors else "raw",
        }
        return replace(self, **{name: value for name, value in defaults.items() if getattr(self, name) is None})


class SettingsByName(TypedDict, total=False):
    """Single settings, as keyword arguments. A test keeps them equal to the fields of `Settings`."""

    mode: Mode
    edit: Value | None
    sites: Sites | None
    spatial_ratio: float | None
    temporal_ratio: float
    agnostic_ratio: float | None
    retain_weight: float
    target_scale: float
    ridge: float
    moment_rank: int
    response_rank: int
    retained_words: int
    prompts_per_concept: int | None
    seeds_per_prompt: int
    seed: int | None
    num_inference_steps: int
    saliency_steps: int
    guidance_scale: float
    magnitude: Magnitude | None
    layers: str | None
    count_ties: bool
    concepts_at_once: int
    batch_size: int
