"""Single weights are read and written by flat indices, however the layer keeps them."""

import pytest
import torch
from torch import nn

from fia.masks.weights import read, same, write
from fia.models.layers import MaskableLayer


def transposed() -> MaskableLayer:
    linear = nn.Linear(5, 4)
    linear.weight = nn.Parameter(torch.randn(5, 4).T)
    return MaskableLayer(linear)


LAYERS = {
    "contiguous": lambda: MaskableLayer(nn.Linear(5, 4)),
    "transposed": transposed,
    "last inputs alone": lambda: MaskableLayer(nn.Linear(8, 4), first_input=3),
    "convolution": lambda: MaskableLayer(nn.Conv2d(5, 4, 1)),
    "convolution, channels last": lambda: MaskableLayer(nn.Conv2d(5, 4, 1).to(memory_format=torch.channels_last)),
}


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_flat_indices(name: str) -> None:
    layer, indices, values = LAYERS[name](), torch.tensor([0, 6, 19]), torch.tensor([1.0, -2.0, 3.0])
    whole = layer.module.weight.clone()
    expected = layer.weight.clone().reshape(-1)
    assert torch.equal(read(layer, indices), expected[indices])
    expected[indices] = values
    write(layer, indices, values)
    assert torch.equal(layer.weight.reshape(-1), expected)
    assert torch.equal(read(layer, indices), values)
    assert int((layer.module.weight != whole).sum()) == 3


def test_the_same_after_half_precision() -> None:
    recorded = torch.tensor([0.1, 0.2, float("nan"), 0.4])
    assert same(recorded, recorded).all()
    assert same(recorded.half().float(), recorded).all()
    assert same(recorded.bfloat16().float(), recorded).all()
    assert same(recorded + 1, recorded).tolist() == [False, False, True, False]
