"""Works out what a mask changes in the weights of a model."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from ..errors import UsageError
from ..masks.mask import NeuronMask
from ..masks.pruning import prune, refuse_if_pruned
from ..models.layers import MaskableLayer, hash_weights, layers_named


@dataclass(frozen=True, eq=False)
class Change:
    """A layer's weight without and with the mask.

    Attributes:
        before: the weight without the mask, (outputs, inputs).
        after: the weight with the mask, (outputs, inputs), in the same type.
    """

    before: Tensor
    after: Tensor


def changed_weights(pipe: DiffusionPipeline, mask: NeuronMask, *, check_weights: bool = True) -> dict[str, Change]:
    """Returns the weights that the mask changes, by layer, on the CPU. Layers that stay the same are left out.

    The weights are read while the mask is applied, so they are the ones that a user of the mask gets.

    Raises:
        ValueError: if the mask does not fit the model, or changes no weight of it.
    """
    refuse_if_pruned(mask.denoiser_of(pipe), "and what another one changes is read from the original weights")
    layers = layers_named(mask.denoiser_of(pipe), mask.shapes)
    before = {name: layer.weight.cpu().clone() for name, layer in layers.items()}
    changes = {}
    with mask.applied(pipe, check_weights=check_weights):
        for name, layer in layers.items():
            after = layer.weight.cpu()
            if not torch.equal(before[name], after):
                changes[name] = Change(before[name], after.clone())
    if not changes:
        raise UsageError(
            "The mask changes no weight of this model, so there is nothing to write. Give a mask that prunes something."
        )
    return changes


def changes_of_weights(
    weights: Mapping[str, Tensor], mask: NeuronMask, *, check_weights: bool = True
) -> dict[str, Change]:
    """Returns what the mask makes of weights that another tool holds, by layer, on the CPU. It changes none of them.

    Args:
        weights: the weight of every layer of the mask, (outputs, inputs) or (outputs, inputs, 1, 1), by its name in
            diffusers.
        mask: the mask.
        check_weights: as for `NeuronMask.apply`.

    Raises:
        ValueError: if a layer is missing or has another shape, or the mask was found in other weights.
    """
    layers = {}
    for name, (outputs, inputs) in mask.shapes.items():
        weight = weights.get(name)
        if weight is None or weight.shape[0] != outputs or weight.shape[1] < inputs:
            found = "missing" if weight is None else " x ".join(map(str, weight.shape))
            raise UsageError(
                f"The mask is for another model: layer {name} is {outputs} x {inputs} in the mask and {found} in the "
                f"model. Apply it to {mask.model}."
            )
        module = nn.Linear(1, 1, bias=False, device="meta")
        module.weight = nn.Parameter(weight.detach().cpu().clone(), requires_grad=False)
        layers[name] = MaskableLayer(module, weight.shape[1] - inputs)
    if check_weights and hash_weights(layers) != mask.weights_hash:
        raise UsageError(
            f"The mask was found in other weights ({mask.model}, hash {mask.weights_hash[:12]}). Load that model, or "
            "find a mask for this one. If this is a fine-tuned version, you can try it with check_weights off."
        )
    prune(nn.Module(), layers, mask.pruned, ", ".join(mask.concepts), mask.remaining, mask.added)
    return {name: Change(weights[name].cpu(), layer.module.weight.data) for name, layer in layers.items()}
