"""The random control prunes as much as the mask it stands beside, elsewhere."""

import torch

from fia.masks.mask import NeuronMask
from fia.masks.random_control import random_mask


def make_mask() -> NeuronMask:
    neurons = {"church": {"a": torch.arange(40, dtype=torch.int32), "b": torch.empty(0, dtype=torch.int32)}}
    return NeuronMask(neurons, {"a": (20, 30), "b": (4, 4)}, 0.6, "UNet2DConditionModel", 10_000, "hash")


def test_as_many_connections_in_every_layer() -> None:
    mask = make_mask()
    control = random_mask(mask)
    assert {name: len(part) for name, part in control.pruned.items()} == {"a": 40, "b": 0}
    assert control.sparsity == mask.sparsity
    assert not torch.equal(control.pruned["a"], mask.pruned["a"])


def test_the_seed_decides() -> None:
    one, again, other = random_mask(make_mask(), 1), random_mask(make_mask(), 1), random_mask(make_mask(), 2)
    assert torch.equal(one.pruned["a"], again.pruned["a"])
    assert not torch.equal(one.pruned["a"], other.pruned["a"])
