"""Reads, writes and compares single weights of a layer, by their flat indices."""

import torch
from torch import Tensor

from ..models.layers import MaskableLayer

HALVES = (torch.float16, torch.bfloat16)


def same(values: Tensor, recorded: Tensor) -> Tensor:
    """Says which values are the recorded ones, also after a cast to a type of half precision and back."""
    recorded = recorded.to(values.device)
    if torch.equal(values, recorded):
        return torch.ones_like(values, dtype=torch.bool)
    same = values.isnan() & recorded.isnan()
    for dtype in (recorded.dtype, *HALVES):
        same |= values == recorded.to(dtype).to(values.dtype)
    return same


def read(layer: MaskableLayer, indices: Tensor) -> Tensor:
    """Returns the weights at flat indices (k,)."""
    weight, at = _positions(layer, indices)
    return weight[at]


def write(layer: MaskableLayer, indices: Tensor, values: Tensor) -> None:
    """Writes values (k,) to the weights at flat indices (k,), in the type and on the device of the layer."""
    with torch.inference_mode(layer.weight.is_inference()):  # nothing else may write to weights made in that mode
        weight, at = _positions(layer, indices)
        weight[at] = values.to(weight.device, weight.dtype)
    torch.clear_autocast_cache()  # or an autocast around this keeps the copies that it cast before


def _positions(layer: MaskableLayer, indices: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Returns a view of a layer's weights, and where in it the flat indices are, on the layer's device.

    The weights are viewed flat if they can be, because rows and columns take as long as reading or writing.
    """
    indices = indices.to(layer.weight.device, torch.int64)
    if layer.weight.is_contiguous():
        return layer.weight.view(-1), (indices,)
    return layer.weight, (indices // layer.in_features, indices % layer.in_features)
