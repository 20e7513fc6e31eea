"""Warnings that come before a run."""

import logging

from diffusers import DiffusionPipeline
from torch import nn

from ..models.families import is_known
from ..models.pipelines import longest_prompt
from ..prompts import ConceptPairs

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
