"""Sets weights of a denoiser to zero, or a part of what they were, and back, bit for bit.

The original values travel with the denoiser itself (one record, on the CPU), so that any equal mask can take the edit
back, also after the pipeline was moved, cast or copied. The record is no part of the state dict.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..models.layers import MaskableLayer, layers_named

log = logging.getLogger("fia")

_RECORD = "_fia_edit"


@dataclass
class PrunedLayer:
    """What was done to one layer: flat indices (k,), and the values before and after, on the CPU."""

    indices: Tensor
    before: Tensor
    after: Tensor


@dataclass
class Pruning:
    """What was done to a denoiser.

    Attributes:
        fingerprint: of the connections, and of what is left of them.
        label: names what was pruned, for messages.
        layers: by name.
    """

    fingerprint: str
    label: str
    layers: dict[str, PrunedLayer]


def fingerprint(pruned: Mapping[str, Tensor], remaining: Mapping[str, Tensor] | None = None) -> str:
    """Returns a hash of a pruning: layer names, flat indices, and what is left of each weight; see `prune`."""
    digest = hashlib.sha256()
    for name in sorted(pruned):
        digest.update(name.encode() + b"\0")
        digest.update(pruned[name].to(torch.int64).numpy().tobytes())
        if remaining is not None:
            digest.update(b"\0" + remaining[name].numpy().tobytes())
    return digest.hexdigest()


def current_pruning(denoiser: nn.Module) -> Pruning | None:
    """Returns the record of what a denoiser carries, or None."""
    return vars(denoiser).get(_RECORD)


def refuse_if_pruned(denoiser: nn.Module, why: str) -> None:
    """Raises UsageError if a denoiser carries a mask.

    Args:
        denoiser: to look at.
        why: it may not, as the end of a sentence.
    """
    present = current_pruning(denoiser)
    if present is not None:
        raise UsageError(
            f"A mask ({present.label}) is applied to this pipeline, {why}. Remove it first: mask.remove(pipe)."
        )


def prune(
    denoiser: nn.Module,
    layers: Mapping[str, MaskableLayer],
    pruned: Mapping[str, Tensor],
    label: str,
    remaining: Mapping[str, Tensor] | None = None,
) -> None:
    """Zeroes the given connections, or leaves a part of their weights, all or none.

    Pruning the same connections again changes nothing, unless something else has written to them since: then they are
    pruned again, and the values from before the first time stay the ones to come back.

    Args:
        denoiser: to prune.
        layers: of the denoiser, every one of `pruned` among them, in the same shape.
        pruned: flat indices for each layer name.
        label: names what is pruned, for messages.
        remaining: for each layer the shares in [0, 1) that are left of its pruned weights, float32; nothing is left
            where None.

    Raises:
        ValueError: if the denoiser carries another mask, whose original values would be lost.
    """
    pruning = Pruning(fingerprint(pruned, remaining), label, {})
    present = current_pruning(denoiser)
    if present is not None and present.fingerprint == pruning.fingerprint:
        _write_after(layers, present)
        return
    refuse_if_pruned(denoiser, f"and applying one for {label} on top would lose the original weights")
    for name, indices in pruned.items():
        before = layers[name].weight[_positions(layers[name], indices)].cpu()
        after = torch.zeros_like(before)
        if remaining is not None:
            after = torch.where(remaining[name] > 0, remaining[name] * before, after).to(before.dtype)
        pruning.layers[name] = PrunedLayer(indices, before, after)
    setattr(denoiser, _RECORD, pruning)
    try:
        _write_after(layers, pruning)
    except BaseException:
        restore(denoiser)
        raise


def restore(denoiser: nn.Module) -> None:
    """Writes back the values from before and forgets the record. Changes nothing if there is none."""
    pruning = current_pruning(denoiser)
    if pruning is None:
        return
    layers = layers_named(denoiser, pruning.layers)
    for name, layer in pruning.layers.items():
        _write(layers[name], layer.indices, layer.before)
    delattr(denoiser, _RECORD)


def warn_if_overwritten(denoiser: nn.Module, consequence: str) -> None:
    """Warns of the consequence if pruned weights are no longer as written, because something else wrote to them."""
    pruning = current_pruning(denoiser)
    if pruning is None:
        return
    layers = layers_named(denoiser, pruning.layers)
    changed = 0
    for name, layer in pruning.layers.items():
        weight = layers[name].weight
        present = weight[_positions(layers[name], layer.indices)]
        changed += int((present != layer.after.to(weight.device, weight.dtype)).sum())
    if changed:
        log.warning(
            f"{changed} pruned weights are no longer what the mask made of them: something (a fused adapter?) changed "
            f"them after it was applied. {consequence}"
        )


def _write_after(layers: Mapping[str, MaskableLayer], pruning: Pruning) -> None:
    for name, layer in pruning.layers.items():
        _write(layers[name], layer.indices, layer.after)


def _write(layer: MaskableLayer, indices: Tensor, values: Tensor) -> None:
    weight = layer.weight
    weight[_positions(layer, indices)] = values.to(weight.device, weight.dtype)


def _positions(layer: MaskableLayer, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the rows and columns of flat indices, on the layer's device."""
    indices = indices.to(layer.weight.device, torch.int64)
    return indices // layer.in_features, indices % layer.in_features
