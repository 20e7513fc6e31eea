"""Pipelines: their denoiser, name, prompt length, progress bar and safety checker."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline, ModelMixin, UNet2DConditionModel
from torch import nn
from transformers import PreTrainedTokenizerBase

from ..errors import UnsupportedError
from ..provenance import Identity, hash_pipeline
from .families import is_known
from .layers import own_layer

log = logging.getLogger("fia")


def get_denoiser(pipe: DiffusionPipeline) -> ModelMixin:
    """Returns the denoiser of a pipeline. If it was compiled, returns the network inside.

    Raises:
        TypeError: if `pipe` is not a pipeline, or has no denoiser.
    """
    if not isinstance(pipe, DiffusionPipeline):
        raise UnsupportedError(
            f"pipe is a {type(pipe).__name__}, not a pipeline of diffusers. Give the whole pipeline, such as "
            "StableDiffusionPipeline.from_pretrained(...)."
        )
    denoiser = getattr(pipe, "unet", None)
    denoiser = getattr(pipe, "transformer", None) if denoiser is None else denoiser
    denoiser = getattr(denoiser, "_orig_mod", denoiser)
    if not isinstance(denoiser, nn.Module):
        raise UnsupportedError(
            f"{type(pipe).__name__} has neither a U-Net nor a transformer that denoises, so there is nothing to mask. "
            "Give a text-to-image pipeline."
        )
    return denoiser


def call_parameters(pipe: DiffusionPipeline) -> Mapping[str, Parameter]:
    """Returns the parameters of a pipeline's call, by name."""
    return signature(pipe.__call__).parameters


def identity_of(pipe: DiffusionPipeline) -> Identity:
    """Returns what identifies a pipeline in a record, without its path. It hashes all weights, which takes time."""
    return {
        "name": model_name(pipe),
        "hash": hash_pipeline(pipe),
        "dtype": str(pipe.dtype).removeprefix("torch."),
        "scheduler": type(pipe.scheduler).__name__,
    }


def denoiser_name(pipe: DiffusionPipeline) -> str:
    """Returns the name of the denoiser in a pipeline, and in its folder."""
    return "unet" if getattr(pipe, "unet", None) is not None else "transformer"


def get_known_denoiser(pipe: DiffusionPipeline) -> ModelMixin:
    """Returns the denoiser of a pipeline, if docs/families.md lists its architecture.

    Raises:
        TypeError: if it does not.
    """
    denoiser = get_denoiser(pipe)
    if is_known(denoiser):
        return denoiser
    raise UnsupportedError(
        f"{type(pipe).__name__} denoises with a {type(denoiser).__name__}; only pipelines with a UNet2DConditionModel "
        "or one of the transformers in docs/families.md are known. Choose the linears to mask by a pattern of their "
        'names: layers="*.ff.net.2" (--layers), and evaluate the result.'
    )


def get_unet(pipe: DiffusionPipeline, remedy: str = "") -> UNet2DConditionModel:
    """Returns the U-Net of a pipeline, for methods that work only with U-Nets.

    Args:
        pipe: the pipeline.
        remedy: a sentence for the error that says what to do with another denoiser, if anything helps.

    Raises:
        TypeError: if the pipeline denoises with something else.
    """
    denoiser = get_known_denoiser(pipe)
    if not isinstance(denoiser, UNet2DConditionModel):
        raise UnsupportedError(
            f"{type(pipe).__name__} denoises with {type(denoiser).__name__}; this works with a UNet2DConditionModel "
            f"(Stable Diffusion 1.x, 2.x and XL) only. {remedy}".rstrip()
        )
    return denoiser


@dataclass(frozen=True)
class PromptLimit:
    """How much of a prompt a pipeline reads.

    Attributes:
        tokenizer: the tokenizer that takes the longest prompts.
        tokens: the largest number of tokens that the pipeline reads, with the ones at both ends.
    """

    tokenizer: PreTrainedTokenizerBase
    tokens: int

    def ignored(self, prompt: str) -> str:
        """Returns the end of a prompt that the pipeline ignores, or "" if it reads all of it."""
        tokens = self.tokenizer(prompt, truncation=False).input_ids
        if len(tokens) <= self.tokens:
            return ""
        return str(self.tokenizer.decode(tokens[self.tokens - 1 :], skip_special_tokens=True))


def longest_prompt(pipe: DiffusionPipeline) -> PromptLimit | None:
    """Returns how much of a prompt a pipeline reads, or None if it has no tokenizer."""
    tokenizers = [part for part in pipe.components.values() if isinstance(part, PreTrainedTokenizerBase)]
    if not tokenizers:
        return None
    longest = max(tokenizers, key=lambda part: part.model_max_length)
    own_limit = call_parameters(pipe).get("max_sequence_length")
    limits = [longest.model_max_length] + ([] if own_limit is None else [own_limit.default])
    return PromptLimit(longest, min(limits))


EMBEDDED = "_fia_embedded"  # where the config of an embedded model's pipeline has its name
KNOWN = "_fia_known"  # and all names that it was trained with, between bars


def embedded_name(pipe: DiffusionPipeline) -> str:
    """Returns the name of the embedded model that a pipeline is, or nothing for any other model."""
    return str(pipe.config.get(EMBEDDED, ""))


def known_names(pipe: DiffusionPipeline) -> list[str]:
    """Returns the names that an embedded model was trained with; none for any other model."""
    return [name for name in str(pipe.config.get(KNOWN, "")).split("|") if name]


def active_adapters(pipe: DiffusionPipeline) -> dict[str, float]:
    """Returns the adapters (LoRAs) that change what a pipeline's networks compute, fused or not, with their scales."""
    active: dict[str, float] = {}
    networks = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    for module in (module for network in networks for module in network.modules()):
        layer: Any = module
        if own_layer(module) is not module and isinstance(getattr(layer, "scaling", None), dict):
            in_use = [*layer.merged_adapters, *([] if layer.disable_adapters else layer.active_adapters)]
            active |= {name: float(layer.scaling[name]) for name in in_use if name in layer.scaling}
    return active


def model_name(pipe: DiffusionPipeline) -> str:
    """Returns the repository of a pipeline, or the name of its folder without the path."""
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


def without_safety_checker(pipe: DiffusionPipeline, remedy: str = "") -> DiffusionPipeline:
    """Takes Stable Diffusion's safety checker off, if there is one, and logs a warning.

    The checker blackens images, also those that we compare or measure.

    Args:
        pipe: the pipeline. It is changed in place.
        remedy: a sentence that says how to keep the checker, if there is a way.
    """
    if getattr(pipe, "safety_checker", None) is not None:
        log.warning(f"The model's safety checker is off, because it blackens images to compare. {remedy}".rstrip())
        pipe.safety_checker = None
    return pipe
