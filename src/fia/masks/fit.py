"""Checks whether a mask fits a model: its architecture, and the shapes and weights of its maskable layers."""

from torch import nn

from ..errors import UsageError
from ..models.layers import MaskableLayer, hash_weights, layer_shapes, layers_named, maskable_layers
from .contents import MaskContents
from .pruning import current_pruning


def check_fit(mask: MaskContents, denoiser: nn.Module, *, check_weights: bool) -> dict[str, MaskableLayer]:
    """Returns the layers that a mask prunes in a denoiser, if the mask fits it.

    Args:
        mask: the mask.
        denoiser: the network that the mask would prune.
        check_weights: whether the layers must have the weights in which the neurons were found. The weights of a
            denoiser that is already pruned are not checked.

    Raises:
        ValueError: if the denoiser has another architecture, other shapes, or other weights.
    """
    if type(denoiser).__name__ != mask.architecture:
        raise UsageError(
            f"The mask is for a {mask.architecture}, but the model is a {type(denoiser).__name__}. Apply it to the "
            f"model in which it was found ({mask.model})."
        )
    if mask.layer_pattern is None:
        layers = maskable_layers(denoiser, sites=mask.sites)
    else:
        layers = layers_named(denoiser, mask.shapes)
    shapes = layer_shapes(layers)
    for name in sorted(shapes.keys() | mask.shapes.keys()):
        mine, theirs = mask.shapes.get(name), shapes.get(name)
        if mine != theirs:
            raise UsageError(
                f"The mask is for another model: layer {name} is {_shape_text(mine)} in the mask and "
                f"{_shape_text(theirs)} in the model. Apply it to a model of the same size as {mask.model}."
            )
    if not check_weights or current_pruning(denoiser) is not None:
        return layers
    weights_hash = hash_weights(layers)
    if weights_hash != mask.weights_hash:
        raise UsageError(
            f"The mask was found in other weights ({mask.model}, hash {mask.weights_hash[:12]}) than the model has "
            f"(hash {weights_hash[:12]}). If the model was fine-tuned or merged from those weights, the mask may still "
            "work: apply it with check_weights=False (--no-check-weights), and evaluate the result."
        )
    return layers


def check_same_model(one: MaskContents, other: MaskContents) -> None:
    """Raises ValueError unless both masks were found in the same weights."""
    if (one.architecture, one.shapes, one.weights_hash) != (other.architecture, other.shapes, other.weights_hash):
        raise UsageError(
            f"The masks are of different models: {one.model} (weights {one.weights_hash[:12]}) and {other.model} "
            f"(weights {other.weights_hash[:12]}). Combine only masks of the same model."
        )


def _shape_text(shape: tuple[int, int] | None) -> str:
    return "missing" if shape is None else f"{shape[0]} x {shape[1]}"
