"""What is recorded of a finding, so that it can be repeated, and what is warned of before it."""

import importlib.metadata
import warnings
from dataclasses import asdict, replace
from inspect import signature
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline
from torch import nn
from transformers import PreTrainedTokenizerBase

from .. import __version__
from ..concepts import Concept
from ..models.families import is_known
from ..models.layers import get_denoiser
from ..prompts import PromptPair
from ..settings import Settings

ConceptPairs = list[tuple[Concept, list[PromptPair]]]


def record(pipe: DiffusionPipeline, pairs: ConceptPairs, settings: Settings, seconds: float) -> dict[str, Any]:
    """Returns how the neurons of some concepts were found, as plain JSON."""
    denoiser = get_denoiser(pipe, known=False)
    return {
        "model": model_name(pipe),
        "pipeline": type(pipe).__name__,
        "scheduler": type(pipe.scheduler).__name__,
        "dtype": str(denoiser.dtype).removeprefix("torch."),
        "device": pipe._execution_device.type,
        "seconds": round(seconds, 2),
        "settings": asdict(settings),
        "concepts": [
            asdict(replace(concept, prompts=())) | {"prompts": [asdict(pair) for pair in own]} for concept, own in pairs
        ],
        "versions": versions(),
    }


def model_name(pipe: DiffusionPipeline) -> str:
    """Returns the repository a pipeline came from, or the name of its folder without the path to it."""
    name = str(pipe.config.get("_name_or_path") or type(pipe).__name__)
    return Path(name).name if Path(name).exists() else name


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    names = ("torch", "diffusers", "transformers")
    return {"fia": __version__} | {name: importlib.metadata.version(name) for name in names}


def warn_of_guesses(denoiser: nn.Module) -> None:
    """Warns of what is taken for granted of an architecture that is not known."""
    if not is_known(denoiser):
        warnings.warn(
            f"{type(denoiser).__name__} is not known. Its guidance is taken for the commonest: a batch with the "
            "unconditional rows first, or passes of their own with the conditional one first. Its layers are taken to "
            "see the prompts in order. See docs/families.md, and evaluate the mask.",
            stacklevel=4,
        )


def longest_tokenizer(pipe: DiffusionPipeline) -> PreTrainedTokenizerBase | None:
    """Returns the tokenizer that takes the longest prompts, if there is any: what it reads, the model gets."""
    tokenizers = [part for part in pipe.components.values() if isinstance(part, PreTrainedTokenizerBase)]
    return max(tokenizers, key=lambda part: part.model_max_length, default=None)


def warn_of_cut_prompts(pipe: DiffusionPipeline, pairs: ConceptPairs) -> None:
    """Warns of prompts that are longer than the model reads, and says what is cut off."""
    tokenizer: Any = longest_tokenizer(pipe)
    if tokenizer is None:
        return
    own_limit = signature(pipe.__call__).parameters.get("max_sequence_length")
    longest = min([tokenizer.model_max_length] + ([] if own_limit is None else [own_limit.default]))
    every_pair = [pair for _, own in pairs for pair in own]
    for prompt in dict.fromkeys(text for pair in every_pair for text in (pair.concept_prompt, pair.base_prompt)):
        tokens = tokenizer(prompt).input_ids
        if len(tokens) > longest:
            cut = tokenizer.decode(tokens[longest - 1 :], skip_special_tokens=True)
            warnings.warn(
                f"The model reads {longest} tokens, and not the last words of {prompt!r}: {cut!r} is cut off.",
                stacklevel=4,
            )


def warn_of_adapters(denoiser: nn.Module) -> None:
    """Warns where an adapter (a LoRA) takes part in what is found, or can undo what is pruned."""
    adapters = getattr(denoiser, "peft_config", None)
    if adapters:
        warnings.warn(
            f"Adapters are loaded ({', '.join(adapters)}). The neurons are found with them in effect, and the mask "
            "prunes the model's own weights alone: what an adapter adds is not pruned, and another adapter can draw "
            "the concept again. For the model by itself, call pipe.unload_lora_weights() first.",
            stacklevel=4,
        )
