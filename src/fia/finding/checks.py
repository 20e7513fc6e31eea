"""Checks, warnings and refusals that come before a run."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from diffusers import DiffusionPipeline
from torch import nn

from ..concepts import Concept, comparable
from ..errors import ArgumentError, UnsupportedError, UsageError, did_you_mean
from ..masks.fusion import agnostic_threshold
from ..models.families import family_of, guidance_arguments, is_known
from ..models.pipelines import active_adapters, call_parameters, get_denoiser, known_names, longest_prompt
from ..prompts import ConceptPairs
from ..settings import Settings

log = logging.getLogger("fia")

USUAL_DISTILLED = 5.0  # FLUX.1-dev is used with 3 to 4


# What finding gives a pipeline itself, and what would change the number of rows.
OWN_ARGUMENTS = ("prompt", "generator", "num_inference_steps", "output_type", "num_images_per_prompt")
MULTIPLE = 8  # of pixels; the autoencoders halve an image three times at least


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


def warn_of_adapters(pipe: DiffusionPipeline) -> None:
    """Warns if an adapter (a LoRA) is active: it affects which neurons are found, and can undo the pruning."""
    adapters = active_adapters(pipe)
    if adapters:
        log.warning(
            f"Adapters are active ({', '.join(adapters)}). They affect which neurons are found. The mask prunes only "
            "the model's own weights, not what an adapter adds, and another adapter can bring the concept back. To "
            "find neurons of the model alone, call pipe.disable_lora() first, or pipe.unload_lora_weights()."
        )


def warn_of_guidance(denoiser: nn.Module, settings: Settings) -> None:
    """Warns if a model that guides itself is told of a scale that it was hardly trained with."""
    if family_of(denoiser).guidance == "distilled" and settings.guidance_scale > USUAL_DISTILLED:
        log.warning(
            f"guidance_scale={settings.guidance_scale:g}, but {type(denoiser).__name__} guides itself, and is mostly "
            "used with about 3.5. Give what you generate with: guidance_scale=3.5 (--guidance-scale 3.5)."
        )


def read_words(pipe: DiffusionPipeline, concept: Concept) -> Concept:
    """Returns a concept without the synonyms that an embedded model was not trained with, and warns of them.

    Raises:
        ValueError: if it was not trained with the name, which would be found in noise. It suggests a similar one.
    """
    known = known_names(pipe)
    learned = {word for name in known for word in name.casefold().split()}
    by_form = {comparable(name): name for name in known}
    if not known or concept.prompts:
        return concept
    unknown = [word for word in concept.words if not set(comparable(word).split()) <= learned]
    for word in unknown:
        close = get_close_matches(comparable(word), by_form, n=1)
        guess = f" Did you mean {by_form[close[0]]!r}?" if close else ""
        said = f"The embedded model does not know {word!r}.{guess}"
        if word == concept.name:
            raise UsageError(f"{said} It knows {', '.join(known)}. For other words, give another model.")
        log.warning(f"{said} {concept.name!r} is found without this synonym.")
    return replace(concept, synonyms=tuple(word for word in concept.synonyms if word not in unknown))


def check_authors_code(denoiser: nn.Module, settings: Settings, concepts: int) -> None:
    """Warns if the fusion rule of the authors' code will spare every neuron.

    Args:
        denoiser: the denoiser.
        settings: the settings, with an alpha.
        concepts: number of concepts.

    Raises:
        TypeError: if the denoiser does not get both halves of the guidance in one batch, as the authors' code needs.
    """
    if family_of(denoiser).guidance not in ("unconditional first", "conditional first"):
        raise UnsupportedError(
            f"mode='authors-code' counts both halves of the guidance batch, which {type(denoiser).__name__} does not "
            "have. Take another mode, or a Stable Diffusion model."
        )
    assert settings.agnostic_ratio is not None
    if agnostic_threshold(settings.agnostic_ratio, concepts, smallest=1) <= 1:
        log.warning(
            f"The authors' code spares what ceil(alpha * C) = ceil({settings.agnostic_ratio:g} * {concepts}) = 1 or "
            "more concepts claim, which is everything: this mask will change nothing. Give more concepts, or "
            "agnostic_ratio=1.01 (--agnostic-ratio), or take mode='paper'."
        )
