"""Pipelines: their denoiser, their names, and what they read and show."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusers import DiffusionPipeline, ModelMixin, UNet2DConditionModel
from torch import nn
from transformers import PreTrainedTokenizerBase

from ..errors import UnsupportedError
from .families import is_known


def get_denoiser(pipe: DiffusionPipeline, *, known: bool = True) -> ModelMixin:
    """Returns the network of the pipeline that denoises; of a compiled one, the network itself.

    Args:
        known: whether to refuse one of an architecture that is not known.

    Raises:
        TypeError: if it has none of a kind that can be masked.
    """
    denoiser = getattr(pipe, "unet", None)
    denoiser = getattr(pipe, "transformer", None) if denoiser is None else denoiser
    denoiser = getattr(denoiser, "_orig_mod", denoiser)
    if is_known(denoiser) or (not known and isinstance(denoiser, nn.Module)):
        return denoiser
    raise UnsupportedError(
        f"{type(pipe).__name__} denoises with {type(denoiser).__name__}; only pipelines with a UNet2DConditionModel or "
        "one of the transformers listed in docs/families.md are known. Say by hand which of its linears to mask, by a "
        'pattern of their names: layers="*.ff.net.2" (--layers), and evaluate what that does.'
    )


def get_unet(pipe: DiffusionPipeline, remedy: str = "") -> UNet2DConditionModel:
    """Returns the U-Net of a pipeline, for what is known of U-Nets alone.

    Args:
        remedy: what to do with another denoiser, where something can be done.

    Raises:
        TypeError: if it denoises with something else.
    """
    denoiser = get_denoiser(pipe)
    if not isinstance(denoiser, UNet2DConditionModel):
        raise UnsupportedError(
            f"{type(pipe).__name__} denoises with {type(denoiser).__name__}; this works with a UNet2DConditionModel "
            f"(Stable Diffusion 1.x, 2.x and XL) alone. {remedy}".rstrip()
        )
    return denoiser


def longest_tokenizer(pipe: DiffusionPipeline) -> PreTrainedTokenizerBase | None:
    """Returns the tokenizer that takes the longest prompts, if there is any: what it reads, the model gets."""
    tokenizers = [part for part in pipe.components.values() if isinstance(part, PreTrainedTokenizerBase)]
    return max(tokenizers, key=lambda part: part.model_max_length, default=None)


def model_name(pipe: DiffusionPipeline) -> str:
    """Returns the repository a pipeline came from, or the name of its folder without the path to it."""
    name = str(pipe.config.get("_name_or_path") or type(pipe).__name__)
    return Path(name).name if Path(name).exists() else name


@contextmanager
def hidden_progress_bar(pipe: DiffusionPipeline) -> Iterator[None]:
    """Hides the pipeline's own progress bar for a while."""
    before = getattr(pipe, "_progress_bar_config", None)
    pipe.set_progress_bar_config(disable=True)
    try:
        yield
    finally:
        if before is None:
            del pipe._progress_bar_config
        else:
            pipe._progress_bar_config = before


def without_safety_checker(pipe: DiffusionPipeline) -> DiffusionPipeline:
    """Takes Stable Diffusion's safety checker off, which would blacken the very images that are to be measured."""
    if getattr(pipe, "safety_checker", None) is not None:
        pipe.safety_checker = None
    return pipe
