"""What else changes the images of a pipeline: it is put aside while neurons are found, or refused.

A pipeline is copied with a scheduler of its own, so that it stays as it is, and may even generate images in another
thread. Caches, forwards that another tool replaced (DeepCache) and what a pipeline does to the attention (perturbed
attention guidance) are put back afterwards, also after an exception.
"""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING
from torch import nn

from ..errors import UnsupportedError
from ..models.layers import diffusers_hooks
from ..models.pipelines import call_parameters

log = logging.getLogger("fia")

HOOKS = "diffusers.hooks."
HARMLESS = ("group_offloading", "layerwise_casting", "context_parallel", "tensor_parallel")  # they change no result
PICTURES = ("image", "mask_image", "control_image")


def check_pipeline(pipe: DiffusionPipeline, denoiser: nn.Module) -> None:
    """Raises UnsupportedError if a pipeline does not make images from text alone, with one denoiser."""
    name, parts = type(pipe).__name__, pipe.components
    takes = [part for part in ("controlnet", "adapter") if parts.get(part) is not None]
    takes += [argument for argument in PICTURES if argument in call_parameters(pipe)]
    if takes and (takes != ["image"] or not isinstance(pipe, tuple(AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()))):
        raise UnsupportedError(
            f"{name} makes images from another image ({', '.join(takes)}), and concepts are found with text alone. "
            "Find on a text-to-image pipeline that shares its parts, such as "
            "diffusers.AutoPipelineForText2Image.from_pipe(pipe, controlnet=None); the mask then applies to this one, "
            "too."
        )
    twins = [part for part, value in parts.items() if type(getattr(value, "_orig_mod", value)) is type(denoiser)]
    if len(twins) > 1:
        raise UnsupportedError(
            f"{name} has {len(twins)} denoisers ({', '.join(twins)}), and a mask changes only one, so that the other "
            "would still draw the concept. Give a model with one denoiser."
        )
    config: Any = getattr(denoiser, "config", {})
    config = config if isinstance(config, Mapping) else {}
    channels, out = config.get("in_channels"), config.get("out_channels")
    if hasattr(denoiser, "conv_in") and channels and out and channels != out:
        raise UnsupportedError(
            f"The {type(denoiser).__name__} takes {channels} channels and gives {out}: it is made to inpaint or edit "
            "images. Find on the text-to-image model that it was made from, and apply the mask with "
            "check_weights=False."
        )
    asks = getattr(config, "encoder_hid_dim_type", None)  # diffusers sets the attribute, and leaves the entry as it is
    if getattr(denoiser, "image_proj", None) is not None or asks == "ip_image_proj":
        raise UnsupportedError(
            "An IP-Adapter is loaded, which asks for an image. Unload it (pipe.unload_ip_adapter()), find, and load it "
            "again; the mask works with it."
        )


@contextmanager
def alone(pipe: DiffusionPipeline, denoiser: nn.Module, seeds: Sequence[int]) -> Iterator[DiffusionPipeline]:
    """Gives a copy of a pipeline that shares its networks, while everything that changes its images is put aside.

    Args:
        pipe: the pipeline. It stays as it is.
        denoiser: its denoiser.
        seeds: the seed of each prompt. A scheduler that draws its own noise draws it from these.
    """
    own = copy.copy(pipe)
    own.scheduler = copy.deepcopy(pipe.scheduler)
    own.set_progress_bar_config(disable=True)
    if hasattr(own.scheduler, "noise_sampler_seed"):
        own.scheduler.noise_sampler_seed = list(seeds)
    device = pipe._execution_device
    with (
        _without_cache(denoiser),
        _without_forwards(denoiser),
        _same_attention(denoiser),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
    ):
        torch.manual_seed(seeds[0])  # for whatever draws noise without a generator
        yield own


@contextmanager
def _without_cache(denoiser: Any) -> Iterator[None]:
    """Turns a cache of diffusers off for a while.

    Raises:
        TypeError: if it was not turned on with `enable_cache`, so that it cannot be turned on again.
    """
    config = getattr(denoiser, "_cache_config", None)
    if config is not None:
        denoiser.disable_cache()
    try:
        for hook in diffusers_hooks(denoiser):
            kind = type(hook)
            if kind.__module__.startswith(HOOKS) and kind.__module__.removeprefix(HOOKS) not in HARMLESS:
                raise UnsupportedError(
                    f"A {kind.__name__} of diffusers changes what the layers see. Load the model again without it, or "
                    "turn a cache on with enable_cache: then it is put aside while neurons are found."
                )
        yield
    finally:
        if config is not None:
            denoiser.enable_cache(config)


@contextmanager
def _without_forwards(denoiser: nn.Module) -> Iterator[None]:
    """Takes away the forwards that something else put on single modules. Those of offloading stay."""
    replaced = [
        (module, vars(module)["forward"])
        for module in denoiser.modules()
        if "forward" in vars(module) and not {"_hf_hook", "_diffusers_hook"} & vars(module).keys()
    ]
    if replaced:
        kinds = ", ".join(dict.fromkeys(type(module).__name__ for module, _ in replaced))
        log.warning(f"Something replaced the forward of {kinds}; neurons are found with their own.")
    for module, _ in replaced:
        del module.forward
    try:
        yield
    finally:
        for module, forward in replaced:
            module.forward = forward


@contextmanager
def _same_attention(denoiser: nn.Module) -> Iterator[None]:
    """Gives every attention its processor back, if the pipeline replaces it."""
    before = [(module, module.processor) for module in denoiser.modules() if hasattr(module, "set_processor")]
    try:
        yield
    finally:
        for module, processor in before:
            if module.processor is not processor:
                module.set_processor(processor)  # type: ignore[operator]
