"""A Stable Diffusion 1.x pipeline as a single-file checkpoint in the layout in which the models were published."""

import re

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
AUTOENCODER = {
    r"(en|de)coder\.mid_block\.attentions\.0\.": r"\1coder.mid.attn_1.",
    r"group_norm": "norm",
    r"to_([qkv])\.": r"\1.",
    r"to_out\.0": "proj_out",
    r"down_blocks\.(\d+)\.resnets": r"down.\1.block",
    r"down_blocks\.(\d+)\.downsamplers\.0": r"down.\1.downsample",
    r"up_blocks\.(\d+)\.resnets": r"up.\1.block",
    r"up_blocks\.(\d+)\.upsamplers\.0": r"up.\1.upsample",
    r"mid_block\.resnets\.0": "mid.block_1",
    r"mid_block\.resnets\.1": "mid.block_2",
    r"conv_norm_out": "norm_out",
    r"conv_shortcut": "nin_shortcut",
}


def original_unet_name(name: str, unet: nn.Module) -> str:
    """Returns the original name of a module or parameter of a U-Net."""
    for end, original in UNET_ENDS.items():
        if name.startswith(end + "."):
            return original + name.removeprefix(end)
    step = unet.config.layers_per_block + 1
    side, *rest = re.fullmatch(r"(down|mid|up)_block(?:s\.(\d+))?\.(\w+?)s\.(\d+)\.(.+)", name).groups()
    level, kind, number, inner = int(rest[0] or 0), rest[1], int(rest[2]), rest[3]
    if kind == "resnet":
        part, dot, parameter = inner.partition(".")
        inner = RESNET[part] + dot + parameter
    if kind == "downsampler":
        return f"input_blocks.{(level + 1) * step}.0.{inner.replace('conv', 'op')}"
    if kind == "upsampler":
        attends = hasattr(unet.up_blocks[level], "attentions")
        return f"output_blocks.{level * step + step - 1}.{2 if attends else 1}.{inner}"
    if side == "mid":
        return f"middle_block.{1 if kind == 'attention' else 2 * number}.{inner}"
    block = f"input_blocks.{1 + level * step + number}" if side == "down" else f"output_blocks.{level * step + number}"
    return f"{block}.{1 if kind == 'attention' else 0}.{inner}"


def original_checkpoint(pipe: StableDiffusionPipeline) -> dict[str, Tensor]:
    """Returns all weights of the pipeline by their original names, and one extra tensor that no model has."""
    checkpoint = {"model_ema.num_updates": torch.tensor(7)}
    for name, weight in pipe.unet.state_dict().items():
        checkpoint["model.diffusion_model." + original_unet_name(name, pipe.unet)] = weight
    last_level = len(pipe.vae.config.up_block_types) - 1
    for name, weight in pipe.vae.state_dict().items():
        if "attentions" in name and weight.ndim == 2:
            weight = weight[:, :, None, None]
        for pattern, replacement in AUTOENCODER.items():
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"\.up\.(\d+)\.", lambda match: f".up.{last_level - int(match[1])}.", name)
        checkpoint["first_stage_model." + name] = weight
    for name, weight in pipe.text_encoder.state_dict().items():
        checkpoint["cond_stage_model.transformer.text_model." + name.removeprefix("text_model.")] = weight
    return {name: weight.contiguous() for name, weight in checkpoint.items()}
