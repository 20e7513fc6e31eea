"""Warnings that come before a run."""

import logging

from diffusers import DiffusionPipeline
from torch import nn

from ..errors import UnsupportedError
from ..masks.fusion import agnostic_threshold
from ..models.families import family_of, is_known
from ..models.pipelines import longest_prompt
from ..prompts import ConceptPairs
from ..settings import Settings

log = logging.getLogger("fia")


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
