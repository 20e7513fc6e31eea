"""Sets weights of a denoiser to zero, to a part of their values or to new ones, and restores them bit for bit.

The original values stay with the denoiser, in one record on the CPU. So any equal mask can undo the pruning, also after
the pipeline was moved, cast or copied. The record is not part of the state dict.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import DataError, UsageError
from ..models.layers import MaskableLayer, layers_named

log = logging.getLogger("fia")

_RECORD = "_fia_edit"


@dataclass
class PrunedLayer:
    """The pruning of one layer: flat indices (k,), and the values before and after, on the CPU."""

    indices: Tensor
    before: Tensor
    after: Tensor


@dataclass
class Pruning:
    """The pruning of a denoiser.

    Attributes:
        fingerprint: hash of the connections and of what is left of their weights.
        label: name of what was pruned, for messages.
        layers: the pruned layers, by name.
        mask: the mask that pruned, if it was one.
    """

    fingerprint: str
    label: str
    layers: dict[str, PrunedLayer]
    mask: object = None


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
    """Returns the pruning that a denoiser carries, or None."""
    return vars(denoiser).get(_RECORD)


def refuse_if_pruned(denoiser: nn.Module, why: str) -> None:
    """Raises UsageError if a denoiser carries a mask.

    Args:
        denoiser: the denoiser to check.
        why: the reason why it must not carry one, as the end of the message's first sentence.
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
    added: Mapping[str, Tensor] | None = None,
    known_as: str | None = None,
    mask: object = None,
) -> None:
    """Sets the weights of the given connections to zero, to a part of their values, or to new ones. All or none.

    Pruning the same connections again changes nothing, unless something else wrote to them since. In that case they are
    pruned again, and `restore` still gives back the values from before the first time.

    Args:
        denoiser: the denoiser to prune.
        layers: layers of the denoiser, at least those in `pruned`, with the shapes that the indices assume.
        pruned: flat indices for each layer name.
        label: name of what is pruned, for messages.
        remaining: for each layer, the shares in [0, 1) of its pruned weights that are left, float32. None means that
            nothing is left.
        added: for each layer, what to add to its pruned weights instead, float32.
        known_as: the fingerprint to record. None takes that of `pruned` and `remaining`.
        mask: the mask to record.

    Raises:
        ValueError: if the denoiser carries another mask, because its original values would be lost; or if a new value
            does not fit the model's type of numbers. Nothing is changed then.
    """
    pruning = Pruning(known_as or fingerprint(pruned, remaining), label, {}, mask)
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
        if added is not None:
            after = (before.float() + added[name]).to(before.dtype)
            if not after.isfinite().all():
                raise DataError(
                    f"A new value of layer {name} is too large for {before.dtype}. Load the model in float32 or "
                    "bfloat16."
                )
        pruning.layers[name] = PrunedLayer(indices, before, after)
    setattr(denoiser, _RECORD, pruning)
    try:
        _write_after(layers, pruning)
    except BaseException:
        restore(denoiser)
        raise


def restore(denoiser: nn.Module) -> None:
    """Writes the original values back and deletes the record. Changes nothing if there is no record."""
    pruning = current_pruning(denoiser)
    if pruning is None:
        return
    layers = layers_named(denoiser, pruning.layers)
    for name, layer in pruning.layers.items():
        _write(layers[name], layer.indices, layer.before)
    delattr(denoiser, _RECORD)


def warn_if_overwritten(denoiser: nn.Module, consequence: str) -> None:
    """Warns of the consequence if something else wrote to the pruned weights."""
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
            f"{changed} pruned weights no longer have the values that the mask gave them: something (a fused adapter?) "
            f"changed them after the mask was applied. {consequence}"
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
