"""Whether a mask belongs to a model: the architecture, and the shapes and weights of the maskable layers."""

from torch import nn

from ..errors import UsageError
from ..models.layers import MaskableLayer, hash_weights, layer_shapes, layers_named, maskable_layers
from .contents import MaskContents
from .pruning import current_pruning


def check_fit(mask: MaskContents, denoiser: nn.Module, *, check_weights: bool) -> dict[str, MaskableLayer]:
    """Returns the layers that a mask prunes in a denoiser, if it fits.

    Args:
        mask: to apply.
        denoiser: to be pruned.
        check_weights: whether the layers must have the weights that the neurons were found in. Those of a denoiser that
            is pruned already are not looked at.

    Raises:
        ValueError: if the denoiser has another architecture, other shapes, or other weights.
    """
    if type(denoiser).__name__ != mask.architecture:
        raise UsageError(f"The mask is for a {mask.architecture}, but the model is a {type(denoiser).__name__}.")
    layers = maskable_layers(denoiser) if mask.layer_pattern is None else layers_named(denoiser, mask.shapes)
    shapes = layer_shapes(layers)
    for name in sorted(shapes.keys() | mask.shapes.keys()):
        mine, theirs = mask.shapes.get(name), shapes.get(name)
        if mine != theirs:
            raise UsageError(
                f"The mask is for another model: layer {name} is {_shape_text(mine)} in the mask and "
                f"{_shape_text(theirs)} in the model. A mask fits models of the size it was found on."
            )
    if not check_weights or current_pruning(denoiser) is not None:
        return layers
    weights_hash = hash_weights(layers)
    if weights_hash != mask.weights_hash:
        raise UsageError(
            f"The mask was found in other weights ({mask.model}, hash {mask.weights_hash[:12]}) than the model has "
            f"(hash {weights_hash[:12]}). For a model fine-tuned or merged from those it may still forget: apply it "
            "with check_weights=False (--no-check-weights), and evaluate what it does."
        )
    return layers


def check_same_model(one: MaskContents, other: MaskContents) -> None:
    """Raises ValueError unless both masks were found in the same weights."""
    if (one.architecture, one.shapes, one.weights_hash) != (other.architecture, other.shapes, other.weights_hash):
        raise UsageError(
            f"The masks are of different models: {one.model} (weights {one.weights_hash[:12]}) and {other.model} "
            f"(weights {other.weights_hash[:12]}). Only masks of one model can be combined."
        )


def _shape_text(shape: tuple[int, int] | None) -> str:
    return "missing" if shape is None else f"{shape[0]} x {shape[1]}"
