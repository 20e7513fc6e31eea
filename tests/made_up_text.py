"""Pipelines of transformers that need no language model: their texts are random states that depend only on the prompt.

`encode_prompt` returns the states in the layout of the family: padded, masked, or as a list.
"""

import zlib

import torch
from diffusers import (
    AuraFlowPipeline,
    ChromaPipeline,
    CogView4Pipeline,
    Flux2KleinPipeline,
    Flux2Pipeline,
    HunyuanDiTPipeline,
    Lumina2Pipeline,
    QwenImagePipeline,
    SanaPipeline,
    ZImagePipeline,
)
from tiny_pipelines import WIDTH
from torch import Tensor

SIDE = 64  # pixels, 8 times the side of the latents
TEXT = 12  # tokens of a padded prompt


class _Small:
    """Generates small images, whatever the pipeline's usual size is."""

    options: dict[str, object] = {}  # noqa: RUF012

    def __call__(self, **options):
        return super().__call__(**(self.options | options))

    def padded(self, prompts: list[str], length: int) -> tuple[Tensor, Tensor]:
        """Returns states (prompts, length, WIDTH), zero after the text, and their mask."""
        states = torch.zeros(len(prompts), length, WIDTH, dtype=self.transformer.dtype)
        mask = torch.zeros(len(prompts), length, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            text = text_states(prompt)
            states[row, : len(text)], mask[row, : len(text)] = text, 1
        return states, mask


def text_states(prompt: str) -> Tensor:
    """Returns random states (tokens, WIDTH) for a prompt: one token for each word, and one more."""
    generator = torch.Generator().manual_seed(zlib.crc32(prompt.encode()))
    return torch.randn(len(prompt.split()) + 1, WIDTH, generator=generator)


def no_text(prompts: list[str]) -> list[str]:
    """Returns the prompts of the unconditional half."""
    return [""] * len(prompts)


def as_list(prompts: str | list[str]) -> list[str]:
    return [prompts] if isinstance(prompts, str) else list(prompts)


class TinySana(_Small, SanaPipeline):
    def encode_prompt(self, prompt, do_classifier_free_guidance=True, **_):
        prompts = as_list(prompt)
        return *self.padded(prompts, TEXT), *self.padded(no_text(prompts), TEXT)


class TinyAuraFlow(_Small, AuraFlowPipeline):
    options = {"height": SIDE, "width": SIDE}  # noqa: RUF012

    def encode_prompt(self, prompt, **_):
        prompts = as_list(prompt)
        return *self.padded(prompts, TEXT), *self.padded(no_text(prompts), TEXT)


class TinyLumina2(_Small, Lumina2Pipeline):
    def encode_prompt(self, prompt, do_classifier_free_guidance=True, **_):
        prompts = as_list(prompt)
        return *self.padded(prompts, TEXT), *self.padded(no_text(prompts), TEXT)


class TinyQwenImage(_Small, QwenImagePipeline):
    def encode_prompt(self, prompt, **_):
        prompts = as_list(prompt)
        states, mask = self.padded(prompts, max(len(text_states(text)) for text in prompts))
        return states, None if mask.all() else mask


class TinyHunyuanDiT(_Small, HunyuanDiTPipeline):
    options = {"height": SIDE, "width": SIDE, "use_resolution_binning": False}  # noqa: RUF012

    def encode_prompt(self, prompt, text_encoder_index=0, **_):
        prompts = as_list(prompt)
        length = TEXT + text_encoder_index
        (text, text_mask), (none, none_mask) = self.padded(prompts, length), self.padded(no_text(prompts), length)
        return text, none, text_mask, none_mask


class TinyCogView4(_Small, CogView4Pipeline):
    def encode_prompt(self, prompt, *_, **__):
        prompts = as_list(prompt)
        return self.padded(prompts, 16)[0], self.padded(no_text(prompts), 16)[0]


class TinyChroma(_Small, ChromaPipeline):
    def encode_prompt(self, prompt, **_):
        prompts = as_list(prompt)
        (text, mask), (none, none_mask) = self.padded(prompts, TEXT), self.padded(no_text(prompts), TEXT)
        return text, torch.zeros(TEXT, 3), mask.bool(), none, torch.zeros(TEXT, 3), none_mask.bool()


class TinyZImage(_Small, ZImagePipeline):
    options = {"height": SIDE, "width": SIDE}  # noqa: RUF012

    def encode_prompt(self, prompt, **_):
        prompts, dtype = as_list(prompt), self.transformer.dtype
        return [text_states(text).to(dtype) for text in prompts], [
            text_states(text).to(dtype) for text in no_text(prompts)
        ]


class TinyFlux2Klein(_Small, Flux2KleinPipeline):
    def encode_prompt(self, prompt, **_):
        states = self.padded(as_list(prompt), TEXT)[0]
        return states, self._prepare_text_ids(states)


class TinyFlux2(_Small, Flux2Pipeline):
    def encode_prompt(self, prompt, **_):
        states = self.padded(as_list(prompt), TEXT)[0]
        return states, self._prepare_text_ids(states)
