"""Works out what a mask changes in the weights of a model."""

from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from ..errors import UsageError
from ..masks.mask import NeuronMask
from ..masks.pruning import refuse_if_pruned
from ..models.layers import layers_named


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
