"""The edited model as a copy that belongs to the attack, so that the user's pipeline is never touched."""

import copy

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline

from ..edits.interface import Edit
from ..edits.weight_edit import WeightEdit
from ..errors import UnsupportedError, UsageError
from ..masks.mask import NeuronMask
from ..masks.pruning import refuse_if_pruned
from ..masks.random_control import random_mask


def check_attackable(pipe: DiffusionPipeline) -> None:
    """Raises TypeError if attacks do not know a pipeline, and ValueError if a mask is applied to it."""
    unet = getattr(pipe, "unet", None)
    if not isinstance(pipe, StableDiffusionPipeline) or unet is None or unet.config.addition_embed_type is not None:
        raise UnsupportedError(
            f"Attacks know Stable Diffusion 1.x and 2.x, and the embedded U-Net; this is a {type(pipe).__name__}. Give "
            "such a model."
        )
    refuse_if_pruned(unet, "so there is no untouched model to compare with")


def edited_copy(pipe: StableDiffusionPipeline, edit: Edit) -> StableDiffusionPipeline:
    """Returns a copy of a pipeline with an edit in its weights. The denoiser and the text encoder are its own."""
    with edit.applied(pipe) as edited:
        parts = dict(edited.components)
        if edited.unet is pipe.unet:
            parts |= {"unet": copy.deepcopy(edited.unet), "text_encoder": copy.deepcopy(edited.text_encoder)}
    victim = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    if getattr(victim.unet, "peft_config", None) or getattr(victim.text_encoder, "peft_config", None):
        victim.fuse_lora()
        victim.unload_lora_weights()
    for part in ("unet", "text_encoder", "vae"):
        getattr(victim, part).eval()
    victim.unet.requires_grad_(False)
    victim.text_encoder.requires_grad_(False)
    return victim


def random_edit(pipe: StableDiffusionPipeline, edit: Edit, seed: int = 0) -> Edit:
    """Returns a control: an edit of the same size in every layer, at random places.

    For a mask, it is a random mask, which is solved in the same way. For any other edit, the changes of each weight of
    the denoiser are shuffled.

    Raises:
        ValueError: if the edit changes no weight of the denoiser.
    """
    if isinstance(edit, NeuronMask):
        return random_mask(edit, seed)
    generator, shuffled = torch.Generator().manual_seed(seed), {}
    victim, originals = edited_copy(pipe, edit), dict(pipe.unet.named_parameters())
    for name, weight in victim.unet.named_parameters():
        original = originals[name].detach()
        change = (weight.to(original) - original).flatten()
        if change.any():
            places = torch.randperm(len(change), generator=generator).to(change.device)
            shuffled[name] = original + change[places].view_as(original)
    if not shuffled:
        raise UsageError("The edit changes no weight of this model's denoiser, so there is nothing to attack.")
    return WeightEdit(shuffled)
