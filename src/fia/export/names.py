"""What other tools call a layer of the denoiser."""

import re

from torch import nn

from ..errors import UsageError

_ATTENTION = re.compile(r"(down|mid|up)_block(?:s\.(\d+))?\.attentions\.(\d+)\.(.+)")


def original_name(layer: str, layers_per_block: int) -> str:
    """Returns the name of an attention's module in the layout of the published Stable Diffusion checkpoints.

    Blocks are numbered through there. The first input block is a convolution; a level has then as many input blocks as
    it has layers, and one that scales down; it has one output block more than layers.

    Args:
        layer: its name in diffusers, such as `down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2`.
        layers_per_block: of the denoiser's config.

    Returns:
        For example `input_blocks.4.1.transformer_blocks.0.ff.net.2`.

    Raises:
        ValueError: if the layer is in no attention of a block.
    """
    match = _ATTENTION.fullmatch(layer)
    if match is None:
        raise UsageError(f"Layer {layer} is in no attention of a down, mid or up block, so it has no original name.")
    side, level, number, rest = match.groups()
    if side == "mid":
        return f"middle_block.1.{rest}"
    place = int(level) * (layers_per_block + 1) + int(number)
    return f"input_blocks.{place + 1}.1.{rest}" if side == "down" else f"output_blocks.{place}.1.{rest}"


def is_xl(denoiser: nn.Module) -> bool:
    """Returns whether a denoiser is one of Stable Diffusion XL, which is told the picture's size."""
    return denoiser.config.addition_embed_type == "text_time"  # type: ignore[union-attr]


def lora_name(layer: str, denoiser: nn.Module) -> str:
    """Returns what LoRA files for web UIs call a layer: by its name in diffusers, for XL by the original one."""
    name = original_name(layer, denoiser.config.layers_per_block) if is_xl(denoiser) else layer  # type: ignore
    return f"lora_unet_{name.replace('.', '_')}"
