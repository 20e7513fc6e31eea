"""The control beside every claim that a mask forgets: as many connections of each layer, chosen at random."""

from dataclasses import replace

import torch

from ..mask import NeuronMask


def random_mask(mask: NeuronMask, seed: int = 0) -> NeuronMask:
    """Returns a mask that prunes equally many random connections in every layer.

    Args:
        mask: to match.
        seed: of the choice; it does not depend on the device.
    """
    generator = torch.Generator().manual_seed(seed)
    neurons = {}
    for name, (outputs, inputs) in mask.shapes.items():
        chosen = torch.randperm(outputs * inputs, generator=generator)[: len(mask.pruned[name])]
        neurons[name] = chosen.sort().values.int()
    provenance = {"model": mask.provenance.get("model"), "control": f"random, seed {seed}"}
    return replace(mask, neurons={"random control": neurons}, provenance=provenance)
