"""The random mask: the control beside every claim that a mask forgets."""

from dataclasses import replace

import torch
from torch import Tensor

from ..settings import UNION
from .mask import NeuronMask


def random_mask(mask: NeuronMask, seed: int = 0) -> NeuronMask:
    """Returns a mask that changes as many connections of every layer as another, as strongly, but chosen at random.

    If the other rewrites, this one solves for its own connections, from the same moments.

    Args:
        mask: the mask to match.
        seed: seed of the random choice. The choice does not depend on the device.
    """
    generator = torch.Generator().manual_seed(seed)
    if mask.rewriting is not None:
        random = {
            layer: torch.randperm(outputs * inputs, generator=generator)[: len(mask.pruned[layer])].sort().values.int()
            for layer, (outputs, inputs) in mask.shapes.items()
        }
        return replace(
            mask,
            neurons=dict.fromkeys(mask.concepts, random),
            agnostic_ratio=UNION,
            provenance=[record | {"control": f"random, seed {seed}"} for record in mask.provenance],
        )
    levels = {1.0: "random control"}
    if mask.remaining is not None:
        strengths = torch.tensor([1.0, *mask.strengths.values()]).unique().tolist()  # different in float32
        levels = {strength: f"random control {strength!r}" for strength in strengths}
    neurons: dict[str, dict[str, Tensor]] = {name: {} for name in levels.values()}
    for layer, (outputs, inputs) in mask.shapes.items():
        chosen = torch.randperm(outputs * inputs, generator=generator)[: len(mask.pruned[layer])]
        left = torch.zeros(len(chosen)) if mask.remaining is None else mask.remaining[layer]
        for strength, name in levels.items():
            neurons[name][layer] = chosen[left == 1 - torch.tensor(strength)].sort().values.int()
    return replace(
        mask,
        neurons=neurons,
        strengths={name: strength for strength, name in levels.items()},
        provenance=[
            {"model": mask.model, "control": f"random, seed {seed}", "concepts": [{"name": n} for n in neurons]}
        ],
    )
