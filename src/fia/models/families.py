"""The architectures that the package can edit, in three tables. Everything that depends on the family is here.

OWNERS says which linear layer of a class is the second one of its feed-forward block. ATTENTION_OUTPUTS says which one
projects what the attention read from the text. FAMILIES says how the pipelines call each denoiser. The tables name
classes by text, so a class that moves within diffusers breaks only its own family. To support another architecture, add
its classes here and a tiny pipeline to the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from torch import nn

MODELS = "diffusers.models."
Z_IMAGE_TOKENS = 32  # Z-Image pads each prompt to a multiple of this

Guidance = Literal["unconditional first", "conditional first", "separate passes", "distilled"]


@dataclass(frozen=True)
class Owner:
    """The place of the second linear layer of a feed-forward block in its class.

    Attributes:
        path: path from the owner to the linear (or 1x1 convolution).
        width: attribute of the owner that holds the number of the feed-forward's inputs, which come last. The inputs
            before them belong to an attention that the same linear projects. None means that all inputs are the
            feed-forward's.
    """

    path: str
    width: str | None = None


# Keys: the class's module below diffusers.models, and its name.
OWNERS: dict[str, Owner] = {
    "attention.FeedForward": Owner("net.2"),
    "attention.LuminaFeedForward": Owner("linear_2"),
    "transformers.auraflow_transformer_2d.AuraFlowFeedForward": Owner("out_projection"),
    "transformers.sana_transformer.GLUMBConv": Owner("conv_point"),
    "transformers.transformer_z_image.FeedForward": Owner("w2"),
    "transformers.transformer_flux.FluxSingleTransformerBlock": Owner("proj_out", "mlp_hidden_dim"),
    "transformers.transformer_chroma.ChromaSingleTransformerBlock": Owner("proj_out", "mlp_hidden_dim"),
    "transformers.transformer_flux2.Flux2FeedForward": Owner("linear_out"),
    "transformers.transformer_flux2.Flux2ParallelSelfAttention": Owner("to_out", "mlp_hidden_dim"),
}


# Keys: as in OWNERS. Values: path from the block to the output projection of its cross-attention. In blocks with joint
# attention, it is that of the stream with the image. Blocks of FLUX.1, FLUX.2 and Chroma with a single stream are left
# out: there one linear projects the attention and the feed-forward together.
ATTENTION_OUTPUTS: dict[str, str] = {
    "attention.BasicTransformerBlock": "attn2.to_out.0",
    "attention.JointTransformerBlock": "attn.to_out.0",
    "transformers.sana_transformer.SanaTransformerBlock": "attn2.to_out.0",
    "transformers.hunyuan_transformer_2d.HunyuanDiTBlock": "attn2.to_out.0",
    "transformers.auraflow_transformer_2d.AuraFlowJointTransformerBlock": "attn.to_out.0",
    "transformers.auraflow_transformer_2d.AuraFlowSingleTransformerBlock": "attn.to_out.0",
    "transformers.transformer_chroma.ChromaTransformerBlock": "attn.to_out.0",
    "transformers.transformer_cogview4.CogView4TransformerBlock": "attn1.to_out.0",
    "transformers.transformer_flux.FluxTransformerBlock": "attn.to_out.0",
    "transformers.transformer_flux2.Flux2TransformerBlock": "attn.to_out.0",
    "transformers.transformer_lumina2.Lumina2TransformerBlock": "attn.to_out.0",
    "transformers.transformer_qwenimage.QwenImageTransformerBlock": "attn.to_out.0",
    "transformers.transformer_z_image.ZImageTransformerBlock": "attention.to_out.0",
}


def owner_of(module: nn.Module) -> Owner | None:
    """Returns the place of the second linear in a feed-forward module, or None if the module is of another class."""
    return next((OWNERS[name] for name in _class_names(type(module)) if name in OWNERS), None)


def attention_output_of(module: nn.Module) -> str | None:
    """Returns the path to the cross-attention's output projection in a block, or None if it is of another class."""
    return next((ATTENTION_OUTPUTS[name] for name in _class_names(type(module)) if name in ATTENTION_OUTPUTS), None)


def _names_of_class(kind: type) -> list[str]:
    """Returns the names of a module's class and its bases, as the tables have them."""
    return [f"{base.__module__}.{base.__qualname__}".removeprefix(MODELS) for base in kind.__mro__]


_class_names: Callable[[type], list[str]] = cache(_names_of_class)


@dataclass(frozen=True)
class Family:
    """How the pipelines call a denoiser.

    Attributes:
        name: name of the family, for people.
        guidance: how to tell which rows are conditional. "unconditional first" and "conditional first": both halves are
            in one batch. "separate passes": the conditional pass comes first, and the other one follows at the same
            timestep. "distilled": the model guides itself, and there is no unconditional pass. In every family, a batch
            with one row for each prompt is conditional the first time that a timestep occurs, and is not observed
            after that.
        guidance_argument: the pipeline's name for the guidance scale.
        negative_prompt: the negative prompt without which the pipeline does not guide. None if it needs nothing.
        shared: arguments of the denoiser that have no rows.
        text_lengths: returns each row's text length from the denoiser's arguments. Rows of one length can share a batch
            without extra padding. None if the padding of a prompt does not depend on the other prompts.
        padded: arguments of the denoiser that are padded to the longest row, and that can be cut.
        parts: how many times a feed-forward runs in a pass, each time on other tokens of the same prompt.
        text_first: whether the blocks that see text and image together have the text first, in different lengths.
    """

    name: str
    guidance: Guidance
    guidance_argument: str = "guidance_scale"
    negative_prompt: str | None = None
    shared: frozenset[str] = frozenset()
    text_lengths: Callable[[dict[str, Any]], list[int] | None] | None = None
    padded: tuple[str, ...] = ()
    parts: int = 1
    text_first: bool = False


def _lengths_in_mask(argument: str) -> Callable[[dict[str, Any]], list[int] | None]:
    def lengths(arguments: dict[str, Any]) -> list[int] | None:
        mask = arguments.get(argument)
        return None if mask is None else mask.sum(dim=1).tolist()

    return lengths


def _blocks_of_text(arguments: dict[str, Any]) -> list[int]:
    return [-(-len(text) // Z_IMAGE_TOKENS) for text in arguments["cap_feats"]]


# Keys: the name of the denoiser's class in diffusers.
FAMILIES: dict[str, Family] = {
    "UNet2DConditionModel": Family("Stable Diffusion 1.x, 2.x, XL", "unconditional first"),
    "PixArtTransformer2DModel": Family("PixArt-alpha, PixArt-Sigma", "unconditional first"),
    "SD3Transformer2DModel": Family("Stable Diffusion 3, 3.5", "unconditional first"),
    "FluxTransformer2DModel": Family("FLUX.1", "distilled", shared=frozenset({"img_ids", "txt_ids"})),
    "SanaTransformer2DModel": Family("Sana", "unconditional first"),
    "QwenImageTransformer2DModel": Family(
        "Qwen-Image",
        "separate passes",
        guidance_argument="true_cfg_scale",
        negative_prompt=" ",
        text_lengths=_lengths_in_mask("encoder_hidden_states_mask"),
        padded=("encoder_hidden_states", "encoder_hidden_states_mask"),
    ),
    "Lumina2Transformer2DModel": Family(
        "Lumina Image 2.0",
        "separate passes",
        text_lengths=_lengths_in_mask("encoder_attention_mask"),
        text_first=True,
    ),
    "AuraFlowTransformer2DModel": Family("AuraFlow", "unconditional first"),
    "HunyuanDiT2DModel": Family("HunyuanDiT", "unconditional first", shared=frozenset({"image_rotary_emb"})),
    "CogView4Transformer2DModel": Family("CogView4", "separate passes", parts=2),
    "ChromaTransformer2DModel": Family("Chroma", "separate passes", shared=frozenset({"img_ids", "txt_ids"})),
    "ZImageTransformer2DModel": Family("Z-Image", "conditional first", text_lengths=_blocks_of_text),
    "Flux2Transformer2DModel": Family("FLUX.2", "distilled"),
}
UNKNOWN = Family("an unknown architecture", "unconditional first")


def is_known(denoiser: object) -> bool:
    """Returns whether a denoiser's architecture is in the table."""
    return family_of(denoiser) is not UNKNOWN


def family_of(denoiser: object) -> Family:
    """Returns the family of a denoiser. For an unknown architecture, returns the most common way to call one."""
    kinds = (base.__name__ for base in type(denoiser).__mro__ if base.__module__.startswith(MODELS))
    return next((FAMILIES[kind] for kind in kinds if kind in FAMILIES), UNKNOWN)


def guidance_arguments(denoiser: object, guidance_scale: float, prompts: int) -> dict[str, Any]:
    """Returns the arguments with which a pipeline guides with this scale.

    Args:
        denoiser: the denoiser of the pipeline.
        guidance_scale: above 1 for guidance.
        prompts: number of prompts in the call.
    """
    family = family_of(denoiser)
    arguments: dict[str, Any] = {family.guidance_argument: guidance_scale}
    if family.negative_prompt is not None and guidance_scale > 1:
        arguments["negative_prompt"] = [family.negative_prompt] * prompts
    return arguments
