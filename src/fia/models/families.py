"""What is known of the architectures that can be masked, in two tables: all that depends on the family stands here.

OWNERS says which linear of which class is a feed-forward's second one; FAMILIES says how each denoiser is called.
Classes stand in them by name, so that a class that moves within diffusers breaks its own family alone.
To open another architecture, add its classes here, and a tiny pipeline to the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

MODELS = "diffusers.models."
Z_IMAGE_TOKENS = 32  # Z-Image fills each prompt up to a multiple of so many

Guidance = Literal["unconditional first", "conditional first", "separate passes", "distilled"]


@dataclass(frozen=True)
class Owner:
    """Where a class keeps the second linear of its feed-forward.

    Attributes:
        path: of the linear (or 1x1 convolution), below the owner.
        width: attribute of the owner with the number of its last inputs that are the feed-forward's; the inputs before
            them are those of an attention that is projected by the same linear. None where all are the feed-forward's.
    """

    path: str
    width: str | None = None


# By the class's module below diffusers.models, and its name.
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


def owner_of(module: nn.Module) -> Owner | None:
    """Returns where a module keeps the second linear of its feed-forward, or None if it is of no class that has one."""
    names = (f"{base.__module__}.{base.__qualname__}".removeprefix(MODELS) for base in type(module).__mro__)
    return next((OWNERS[name] for name in names if name in OWNERS), None)


@dataclass(frozen=True)
class Family:
    """How the pipelines of a denoiser call it.

    Attributes:
        name: for people.
        guidance: how the conditional rows are told apart. "unconditional first" and "conditional first": both halves in
            one batch. "separate passes": the conditional pass comes first, the other one at the same timestep.
            "distilled": the model was trained to guide itself, and there is no unconditional pass. Whatever it says, a
            batch of one row a prompt is conditional the first time that a timestep comes by, and unobserved after.
        guidance_argument: what the pipeline calls the guidance scale.
        negative_prompt: what the pipeline must be given to guide at all; None where it needs nothing.
        shared: arguments of the denoiser that have no rows.
        text_lengths: from the denoiser's arguments, what the rows of a batch must have in common so that none of them
            is padded for another's sake; None where the padding of a prompt does not depend on the others.
        padded: arguments of the denoiser that are padded to the longest row, and can be cut.
        parts: how many times a feed-forward runs in a pass, each time on other tokens of the same prompt.
    """

    name: str
    guidance: Guidance
    guidance_argument: str = "guidance_scale"
    negative_prompt: str | None = None
    shared: frozenset[str] = frozenset()
    text_lengths: Callable[[dict[str, Any]], list[int] | None] | None = None
    padded: tuple[str, ...] = ()
    parts: int = 1


def _lengths_in_mask(argument: str) -> Callable[[dict[str, Any]], list[int] | None]:
    def lengths(arguments: dict[str, Any]) -> list[int] | None:
        mask = arguments.get(argument)
        return None if mask is None else mask.sum(dim=1).tolist()

    return lengths


def _blocks_of_text(arguments: dict[str, Any]) -> list[int]:
    return [-(-len(text) // Z_IMAGE_TOKENS) for text in arguments["cap_feats"]]


# By the name of the denoiser's class in diffusers.
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
        "Lumina Image 2.0", "separate passes", text_lengths=_lengths_in_mask("encoder_attention_mask")
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
    """Returns what is known of a denoiser's architecture, or the commonest way of calling one."""
    kinds = (base.__name__ for base in type(denoiser).__mro__ if base.__module__.startswith(MODELS))
    return next((FAMILIES[kind] for kind in kinds if kind in FAMILIES), UNKNOWN)


def guidance_arguments(denoiser: object, guidance_scale: float, prompts: int) -> dict[str, Any]:
    """Returns what its pipeline must be given to draw so many prompts with this guidance scale."""
    family = family_of(denoiser)
    arguments: dict[str, Any] = {family.guidance_argument: guidance_scale}
    if family.negative_prompt is not None and guidance_scale > 1:
        arguments["negative_prompt"] = [family.negative_prompt] * prompts
    return arguments
