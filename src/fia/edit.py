"""Sets weights of a denoiser to zero, and back to what they were, bit for bit.

The original values travel with the denoiser itself (one record, on the CPU), so that any equal mask can take the edit
back, also after the pipeline was moved, cast or copied. The record is no part of the state dict.
"""

import hashlib
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .layers import maskable_layers

_RECORD = "_fia_edit"


@dataclass
class Edit:
    """What an edit did to a denoiser.

    Attributes:
        fingerprint: of the pruned connections.
        label: names what was pruned, for messages.
        originals: for each layer the flat indices and the values before.
    """

    fingerprint: str
    label: str
    originals: dict[str, tuple[Tensor, Tensor]]


def fingerprint(pruned: dict[str, Tensor]) -> str:
    """Returns a hash of pruned connections: layer names and flat indices."""
    digest = hashlib.sha256()
    for name in sorted(pruned):
        digest.update(name.encode() + b"\0")
        digest.update(pruned[name].to(torch.int64).numpy().tobytes())
    return digest.hexdigest()


def current_edit(denoiser: nn.Module) -> Edit | None:
    """Returns the record of the edit that a denoiser carries, or None."""
    return vars(denoiser).get(_RECORD)


def prune(denoiser: nn.Module, pruned: dict[str, Tensor], label: str) -> None:
    """Zeroes the given connections, all or none.

    Pruning the same connections again changes nothing, unless something else has written to them since: then they are
    zeroed again, and the values from before the first time stay the ones to come back.

    Args:
        denoiser: with every layer of `pruned` among its maskable layers, in the same shape.
        pruned: flat indices for each layer name.
        label: names what is pruned, for messages.

    Raises:
        ValueError: if the denoiser carries another edit, whose original values would be lost.
    """
    edit = Edit(fingerprint(pruned), label, {})
    present = current_edit(denoiser)
    if present is not None:
        if present.fingerprint == edit.fingerprint:
            _zero(denoiser, pruned)
            return
        raise ValueError(
            f"The model is already edited by another mask ({present.label}); applying one for {label} on top would "
            "lose the original weights. Remove that mask first: mask.remove(pipe)."
        )
    layers = maskable_layers(denoiser)
    for name, indices in pruned.items():
        where = _positions(layers[name], indices)
        edit.originals[name] = (indices, layers[name].weight.data[where].cpu())
    setattr(denoiser, _RECORD, edit)
    try:
        _zero(denoiser, pruned)
    except BaseException:
        restore(denoiser)
        raise


def restore(denoiser: nn.Module) -> None:
    """Writes back the values from before the edit and forgets the record. Without an edit, changes nothing."""
    edit = current_edit(denoiser)
    if edit is None:
        return
    layers = maskable_layers(denoiser)
    for name, (indices, values) in edit.originals.items():
        weight = layers[name].weight
        weight.data[_positions(layers[name], indices)] = values.to(weight.device, weight.dtype)
    delattr(denoiser, _RECORD)


def _zero(denoiser: nn.Module, pruned: dict[str, Tensor]) -> None:
    layers = maskable_layers(denoiser)
    for name, indices in pruned.items():
        layers[name].weight.data[_positions(layers[name], indices)] = 0


def warn_if_overwritten(denoiser: nn.Module, consequence: str) -> None:
    """Warns of the consequence where pruned weights are no longer zero, because something else wrote to them since."""
    edit = current_edit(denoiser)
    if edit is None:
        return
    layers = maskable_layers(denoiser)
    changed = sum(
        int(layers[name].weight.data[_positions(layers[name], indices)].count_nonzero())
        for name, (indices, _) in edit.originals.items()
    )
    if changed:
        warnings.warn(
            f"{changed} pruned weights are no longer zero: something (a fused adapter?) changed them after the mask "
            f"was applied. {consequence}",
            stacklevel=3,  # whoever called the mask
        )


def _positions(layer: nn.Linear, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the rows and columns of flat indices, on the layer's device."""
    indices = indices.to(layer.weight.device, torch.int64)
    return indices // layer.in_features, indices % layer.in_features
