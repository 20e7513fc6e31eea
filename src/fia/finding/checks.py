"""What is warned of before a run."""

import logging

from diffusers import DiffusionPipeline
from torch import nn

from ..models.families import is_known
from ..models.pipelines import longest_prompt
from ..prompts import ConceptPairs

log = logging.getLogger("fia")


def warn_of_guesses(denoiser: nn.Module) -> None:
    """Warns of what is taken for granted of an architecture that is not known."""
    if not is_known(denoiser):
        log.warning(
            f"{type(denoiser).__name__} is not known. Its guidance is taken for the commonest: a batch with the "
            "unconditional rows first, or passes of their own with the conditional one first. Its layers are taken to "
            "see the prompts in order. See docs/families.md, and evaluate the mask."
        )


def warn_of_long_prompts(pipe: DiffusionPipeline, pairs: ConceptPairs) -> None:
    """Warns of prompts whose end the pipeline ignores."""
    limit = longest_prompt(pipe)
    if limit is None:
        return
    every_pair = [pair for _, own in pairs for pair in own]
    for prompt in dict.fromkeys(text for pair in every_pair for text in (pair.concept_prompt, pair.base_prompt)):
        ignored = limit.ignored(prompt)
        if ignored:
            log.warning(f"Prompt {prompt!r} is longer than the model's {limit.tokens} tokens; {ignored!r} is ignored.")


def warn_of_adapters(denoiser: nn.Module) -> None:
    """Warns where an adapter (a LoRA) takes part in what is found, or can undo what is pruned."""
    adapters = getattr(denoiser, "peft_config", None)
    if adapters:
        log.warning(
            f"Adapters are loaded ({', '.join(adapters)}). The neurons are found with them in effect, and the mask "
            "prunes the model's own weights alone: what an adapter adds is not pruned, and another adapter can draw "
            "the concept again. For the model by itself, call pipe.unload_lora_weights() first."
        )
