"""The names that other tools give to a layer of the denoiser."""

import re

from torch import nn

from ..errors import UsageError

_ATTENTION = re.compile(r"(down|mid|up)_block(?:s\.(\d+))?\.attentions\.(\d+)\.(.+)")


def original_name(layer: str, layers_per_block: int) -> str:
    """Returns the name of an attention's module in the layout of the published Stable Diffusion checkpoints.

    That layout numbers the blocks through. The first input block is a convolution. Then each level has one input block
    for each of its layers, and one that scales down. It has one more output block than layers.

    Args:
        layer: the layer's name in diffusers, such as `down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2`.
        layers_per_block: the entry of the denoiser's config.

    Returns:
        For example `input_blocks.4.1.transformer_blocks.0.ff.net.2`.

    Raises:
        ValueError: if the layer is in no attention of a block.
    """
    match = _ATTENTION.fullmatch(layer)
    if match is None:
        raise UsageError(
            f"Layer {layer} is in no attention of a down, mid or up block, so it has no original name. Write a folder "
            "instead: --format folder."
        )
    side, level, number, rest = match.groups()
    if side == "mid":
        return f"middle_block.1.{rest}"
    place = int(level) * (layers_per_block + 1) + int(number)
    return f"input_blocks.{place + 1}.1.{rest}" if side == "down" else f"output_blocks.{place}.1.{rest}"


def is_xl(denoiser: nn.Module) -> bool:
    """Returns whether a denoiser belongs to Stable Diffusion XL: only XL also takes the size of the image."""
    return denoiser.config.addition_embed_type == "text_time"  # type: ignore[union-attr]


def lora_name(layer: str, denoiser: nn.Module) -> str:
    """Returns a layer's name in LoRA files for web UIs, made from diffusers' name, or for XL from the original name."""
    name = original_name(layer, denoiser.config.layers_per_block) if is_xl(denoiser) else layer  # type: ignore
    return f"lora_unet_{name.replace('.', '_')}"
