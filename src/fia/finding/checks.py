"""Checks and warnings that come before a run."""

import json
import logging
from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from diffusers import DiffusionPipeline
from torch import nn

from ..errors import ArgumentError, UsageError, did_you_mean
from ..models.families import guidance_arguments, is_known
from ..models.pipelines import get_denoiser, longest_prompt
from ..prompts import ConceptPairs

log = logging.getLogger("fia")


# What finding gives a pipeline itself, and what would change the number of rows.
OWN_ARGUMENTS = ("prompt", "generator", "num_inference_steps", "output_type", "num_images_per_prompt")
MULTIPLE = 8  # of pixels; the autoencoders halve an image three times at least


def call_parameters(pipe: DiffusionPipeline) -> Mapping[str, Parameter]:
    """Returns the parameters of a pipeline's call, by name."""
    return signature(pipe.__call__).parameters


def check_call(pipe: DiffusionPipeline, call: Mapping[str, Any]) -> None:
    """Checks the arguments that the user gives for the calls of a pipeline.

    Raises:
        TypeError: if the pipeline does not take an argument, finding gives it itself, or its value is not plain.
        ValueError: if a height or width does not fit.
    """
    known = call_parameters(pipe)
    own = {*OWN_ARGUMENTS, *guidance_arguments(get_denoiser(pipe), 2.0, 1)}
    for name, value in call.items():
        if name in own:
            raise ArgumentError(f"call has {name!r}, which finding gives itself. Use the settings, or leave it out.")
        if name not in known:
            raise ArgumentError(
                f"call has {name!r}, which {type(pipe).__name__} does not take.{did_you_mean(name, known)}"
            )
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"call has {name!r} with a {type(value).__name__}; only numbers, texts, and lists of them can be "
                "recorded with the mask."
            ) from None
        if name in ("height", "width") and (type(value) is not int or value < MULTIPLE or value % MULTIPLE):
            raise UsageError(f"{name}={value!r} is not a multiple of {MULTIPLE}.")


def warn_of_guesses(denoiser: nn.Module) -> None:
    """Warns of what the package assumes about an unknown architecture."""
    if not is_known(denoiser):
        log.warning(
            f"{type(denoiser).__name__} is not known. We assume the most common guidance: one batch with the "
            "unconditional rows first, or separate passes with the conditional one first. We also assume that its "
            "layers see the prompts in order. Read docs/families.md, and evaluate the mask."
        )


def warn_of_long_prompts(pipe: DiffusionPipeline, pairs: ConceptPairs) -> None:
    """Warns of every prompt whose end the pipeline ignores."""
    limit = longest_prompt(pipe)
    if limit is None:
        return
    every_pair = [pair for _, own in pairs for pair in own]
    for prompt in dict.fromkeys(text for pair in every_pair for text in (pair.concept_prompt, pair.base_prompt)):
        ignored = limit.ignored(prompt)
        if ignored:
            log.warning(
                f"Prompt {prompt!r} is longer than the model's {limit.tokens} tokens; {ignored!r} is ignored. Use a "
                "shorter prompt."
            )


def warn_of_adapters(denoiser: nn.Module) -> None:
    """Warns if an adapter (a LoRA) is loaded: it affects which neurons are found, and can undo the pruning."""
    adapters = getattr(denoiser, "peft_config", None)
    if adapters:
        log.warning(
            f"Adapters are loaded ({', '.join(adapters)}). They affect which neurons are found. The mask prunes only "
            "the model's own weights, not what an adapter adds, and another adapter can bring the concept back. To "
            "find neurons of the model alone, call pipe.unload_lora_weights() first."
        )
