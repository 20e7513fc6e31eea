"""Which layers can be masked: the second linear of every feed-forward block (section 1 of docs/method.md).

Layers are found by the class that owns them and keyed by their qualified name, never by their order.
"""

from diffusers import DiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import nn


def get_denoiser(pipe: DiffusionPipeline) -> UNet2DConditionModel:
    """Returns the network of the pipeline that denoises.

    Raises:
        TypeError: if it has none of a kind that can be masked.
    """
    denoiser = getattr(pipe, "unet", None)
    if isinstance(denoiser, UNet2DConditionModel):
        return denoiser
    found = type(getattr(pipe, "transformer", denoiser)).__name__
    raise TypeError(
        f"{type(pipe).__name__} denoises with {found}; only pipelines with a UNet2DConditionModel "
        "(Stable Diffusion 1.x, 2.x and XL) can be masked so far."
    )


def maskable_layers(denoiser: nn.Module) -> dict[str, nn.Linear]:
    """Returns the second linear of every feed-forward block, by qualified module name.

    Raises:
        TypeError: if such a layer is not a plain linear (quantised, or wrapped by an adapter).
        ValueError: if there is none, if its weights are not in memory (offloaded), or if its input comes in chunks.
    """
    layers: dict[str, nn.Linear] = {}
    for name, module in denoiser.named_modules():
        if getattr(module, "_chunk_size", None) is not None:
            raise ValueError(
                f"Feed-forward chunking is on in {name}, so its layers see each prompt in pieces. Turn it off first: "
                "call set_chunk_feed_forward(None, 0) on the block."
            )
        if not isinstance(module, FeedForward):
            continue
        layer, name = module.net[2], f"{name}.net.2"
        if type(layer) is not nn.Linear or not layer.weight.is_floating_point():
            raise TypeError(
                f"Layer {name} is a {type(layer).__module__}.{type(layer).__name__} of {layer.weight.dtype}; only "
                "plain floating-point linears can be masked. Load the model without quantisation, and fuse or unload "
                "adapters first (pipe.fuse_lora(), then pipe.unload_lora_weights())."
            )
        if layer.weight.is_meta:
            raise ValueError(
                f"Layer {name} has no weights in memory (device 'meta'): the pipeline is offloaded, and changes would "
                "be lost. Call pipe.remove_all_hooks() or load it again, mask it, then offload it."
            )
        layers[name] = layer
    if not layers:
        raise ValueError(f"{type(denoiser).__name__} has no feed-forward block, so there is nothing to mask.")
    return layers


def cross_attentions(denoiser: nn.Module) -> dict[str, Attention]:
    """Returns the attentions that read the text, by qualified module name."""
    return {
        name: module
        for name, module in denoiser.named_modules()
        if isinstance(module, Attention) and module.is_cross_attention
    }


def count_parameters(module: nn.Module) -> int:
    """Returns the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def layer_shapes(layers: dict[str, nn.Linear]) -> dict[str, tuple[int, int]]:
    """Returns (outputs, inputs) of each layer."""
    return {name: (layer.out_features, layer.in_features) for name, layer in layers.items()}
