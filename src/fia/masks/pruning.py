"""Sets weights of a denoiser to zero, or a part of what they were, and back, bit for bit.

The original values travel with the denoiser itself (one record, on the CPU), so that any equal mask can take the edit
back, also after the pipeline was moved, cast or copied. The record is no part of the state dict.
"""

import hashlib
import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..models.layers import MaskableLayer, layers_named

log = logging.getLogger("fia")

_RECORD = "_fia_edit"


@dataclass
class Change:
    """What an edit did to one layer: flat indices (k,), and the values before and after, on the CPU."""

    indices: Tensor
    before: Tensor
    after: Tensor


@dataclass
class Edit:
    """What an edit did to a denoiser.

    Attributes:
        fingerprint: of the connections, and of what is left of them.
        label: names what was pruned, for messages.
        changes: of each layer.
    """

    fingerprint: str
    label: str
    changes: dict[str, Change]


def fingerprint(pruned: dict[str, Tensor], remaining: dict[str, Tensor] | None = None) -> str:
    """Returns a hash of an edit: layer names, flat indices, and what is left of each weight; see `prune`."""
    digest = hashlib.sha256()
    for name in sorted(pruned):
        digest.update(name.encode() + b"\0")
        digest.update(pruned[name].to(torch.int64).numpy().tobytes())
        if remaining is not None:
            digest.update(b"\0" + remaining[name].numpy().tobytes())
    return digest.hexdigest()


def current_edit(denoiser: nn.Module) -> Edit | None:
    """Returns the record of the edit that a denoiser carries, or None."""
    return vars(denoiser).get(_RECORD)


def prune(
    denoiser: nn.Module, pruned: dict[str, Tensor], label: str, remaining: dict[str, Tensor] | None = None
) -> None:
    """Zeroes the given connections, or leaves a part of their weights, all or none.

    Pruning the same connections again changes nothing, unless something else has written to them since: then they are
    pruned again, and the values from before the first time stay the ones to come back.

    Args:
        denoiser: with every layer of `pruned`, in the same shape.
        pruned: flat indices for each layer name.
        label: names what is pruned, for messages.
        remaining: for each layer the shares in [0, 1) that are left of its pruned weights, float32; nothing is left
            where None.

    Raises:
        ValueError: if the denoiser carries another edit, whose original values would be lost.
    """
    edit = Edit(fingerprint(pruned, remaining), label, {})
    present = current_edit(denoiser)
    if present is not None:
        if present.fingerprint == edit.fingerprint:
            _write(denoiser, present)
            return
        raise UsageError(
            f"The model is already edited by another mask ({present.label}); applying one for {label} on top would "
            "lose the original weights. Remove that mask first: mask.remove(pipe)."
        )
    layers = layers_named(denoiser, pruned)
    for name, indices in pruned.items():
        before = layers[name].weight[_positions(layers[name], indices)].cpu()
        after = torch.zeros_like(before)
        if remaining is not None:
            after = torch.where(remaining[name] > 0, remaining[name] * before, after).to(before.dtype)
        edit.changes[name] = Change(indices, before, after)
    setattr(denoiser, _RECORD, edit)
    try:
        _write(denoiser, edit)
    except BaseException:
        restore(denoiser)
        raise


def restore(denoiser: nn.Module) -> None:
    """Writes back the values from before the edit and forgets the record. Without an edit, changes nothing."""
    edit = current_edit(denoiser)
    if edit is None:
        return
    layers = layers_named(denoiser, edit.changes)
    for name, change in edit.changes.items():
        weight = layers[name].weight
        weight[_positions(layers[name], change.indices)] = change.before.to(weight.device, weight.dtype)
    delattr(denoiser, _RECORD)


def _write(denoiser: nn.Module, edit: Edit) -> None:
    layers = layers_named(denoiser, edit.changes)
    for name, change in edit.changes.items():
        weight = layers[name].weight
        weight[_positions(layers[name], change.indices)] = change.after.to(weight.device, weight.dtype)


def warn_if_overwritten(denoiser: nn.Module, consequence: str) -> None:
    """Warns of the consequence where pruned weights are no longer as written, as something else wrote to them since."""
    edit = current_edit(denoiser)
    if edit is None:
        return
    layers = layers_named(denoiser, edit.changes)
    changed = 0
    for name, change in edit.changes.items():
        weight = layers[name].weight
        present = weight[_positions(layers[name], change.indices)]
        changed += int((present != change.after.to(weight.device, weight.dtype)).sum())
    if changed:
        log.warning(
            f"{changed} pruned weights are no longer what the mask made of them: something (a fused adapter?) changed "
            f"them after it was applied. {consequence}"
        )


def _positions(layer: MaskableLayer, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the rows and columns of flat indices, on the layer's device."""
    indices = indices.to(layer.weight.device, torch.int64)
    return indices // layer.in_features, indices % layer.in_features
