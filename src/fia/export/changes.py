"""What a mask does to the weights of a model."""

from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from ..errors import UsageError
from ..masks.mask import NeuronMask
from ..models.layers import layers_named


@dataclass(frozen=True, eq=False)
class Change:
    """A layer's weight without and with the mask.

    Attributes:
        before: (outputs, inputs)
        after: (outputs, inputs), in the same type.
    """

    before: Tensor
    after: Tensor


def changed_weights(pipe: DiffusionPipeline, mask: NeuronMask, *, check_weights: bool = True) -> dict[str, Change]:
    """Returns what the mask changes, by layer, on the CPU; layers that stay as they are are left out.

    The weights are read off the model with the mask applied, so that they are what a user of the mask gets.

    Raises:
        ValueError: if the mask does not fit the model, or changes nothing in it.
    """
    layers = layers_named(mask.denoiser_of(pipe), mask.shapes)
    before = {name: layer.weight.cpu().clone() for name, layer in layers.items()}
    changes = {}
    with mask.applied(pipe, check_weights=check_weights):
        for name, layer in layers.items():
            after = layer.weight.cpu()
            if not torch.equal(before[name], after):
                changes[name] = Change(before[name], after.clone())
    if not changes:
        raise UsageError("The mask changes no weight of this model, so there is nothing to write.")
    return changes
