"""Sets weights of a denoiser to zero, to a part of their values or to new ones, and restores them bit for bit.

The original values stay with the denoiser, in one record on the CPU. So any equal mask can undo the pruning, also after
the pipeline was moved, cast or copied. The record is not part of the state dict.

The record says what was done; only the weights say what is still there. So it is compared with them each time: a weight
that something else wrote to in the meantime (another checkpoint, a fused adapter) is never overwritten.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import DataError, UsageError
from ..models.layers import MaskableLayer, fused_adapters, layers_at
from .weights import read, same, write

log = logging.getLogger("fia")

_RECORD = "_fia_edit"


@dataclass
class PrunedLayer:
    """The pruning of one layer, on the CPU.

    Attributes:
        indices: flat indices (k,).
        before: the values before.
        after: the values after.
        shape: (outputs, inputs) of the layer.
        first_input: see `MaskableLayer`.
    """

    indices: Tensor
    before: Tensor
    after: Tensor
    shape: tuple[int, int]
    first_input: int


@dataclass
class Pruning:
    """The pruning of a denoiser.

    Attributes:
        fingerprint: hash of the connections and of what is left of their weights.
        label: name of what was pruned, for messages.
        layers: the pruned layers, by name.
        fused: the adapters that were fused into these layers before, by name of the layer.
        blocks: number of `with` blocks that need it, or None if it stays until it is removed.
        mask: the mask that pruned, if it was one.
    """

    fingerprint: str
    label: str
    layers: dict[str, PrunedLayer]
    fused: dict[str, tuple[str, ...]]
    blocks: int | None = None
    mask: object = None


@dataclass
class Present:
    """How many weights still have the value that a pruning gave them, have their original value, or have another.

    Weights whose two values are the same do not count.
    """

    pruned: int = 0
    original: int = 0
    other: int = 0


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
    """Returns the pruning that a denoiser carries, or None.

    A record of which the weights show nothing any more (the original weights were loaded again) is dropped. What a
    `with` block could not restore at its end is restored first.

    Raises:
        ValueError: if that cannot be restored now either.
    """
    pruning, _ = _examine(denoiser)
    return pruning


def is_pruned_as(denoiser: nn.Module, fingerprint: str) -> bool:
    """Returns whether a denoiser carries the pruning with this fingerprint, and all of its weights show that."""
    pruning, present = _examine(denoiser)
    return pruning is not None and pruning.fingerprint == fingerprint and not present.original and not present.other


def _examine(denoiser: nn.Module) -> tuple[Pruning | None, Present]:
    """Returns what `current_pruning` returns, and what the weights show of it."""
    pruning: Pruning | None = vars(denoiser).get(_RECORD)
    if pruning is None:
        return None, Present()
    if pruning.blocks == 0:
        warn_of_kept(restore(denoiser))
        return None, Present()
    present = look(denoiser, pruning)
    if present.original and not present.pruned and not present.other:
        delattr(denoiser, _RECORD)
        return None, Present()
    return pruning, present


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

    Pruning the same connections again changes nothing, unless some of them got their original values back since. In
    that case they are pruned again, and `restore` still gives back the values from before the first time.

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
        ValueError: if the denoiser carries another mask, because its original values would be lost; if something else
            wrote to weights that the same mask had changed; or if a new value does not fit the model's type of
            numbers. Nothing is changed then.
    """
    pruning = Pruning(
        known_as or fingerprint(pruned, remaining), label, {}, fused_adapters(denoiser, pruned), mask=mask
    )
    known, present = _examine(denoiser)
    if known is not None and known.fingerprint == pruning.fingerprint:
        if present.other:
            raise UsageError(
                f"This mask is applied already, but {present.other} of the weights that it changed have other values "
                "now: another checkpoint was loaded over it, or an adapter was fused. Remove the mask first "
                "(mask.remove(pipe)), which leaves these weights as they are."
            )
        _write_after(layers, known)
        return
    refuse_if_pruned(denoiser, f"and applying one for {label} on top would lose the original weights")
    for name, indices in pruned.items():
        layer = layers[name]
        before = read(layer, indices).cpu()
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
        pruning.layers[name] = PrunedLayer(indices, before, after, layer.shape, layer.first_input)
    setattr(denoiser, _RECORD, pruning)
    try:
        _write_after(layers, pruning)
    except BaseException as error:
        _restore_after(error, denoiser)
        raise


def restore(denoiser: nn.Module) -> int:
    """Writes the original values back and deletes the record. Changes nothing if there is no record.

    Returns:
        The number of weights that something else wrote to. They keep the values that they have.

    Raises:
        ValueError: if an adapter was fused or unfused in the meantime, so that both values of every weight are others;
            or if the weights are not in memory.
        TypeError: if a layer is no plain linear any more.
    """
    pruning: Pruning | None = vars(denoiser).get(_RECORD)
    if pruning is None:
        return 0
    fused = fused_adapters(denoiser, pruning.layers)
    if any(adapters != pruning.fused.get(name, ()) for name, adapters in fused.items()):
        raise UsageError(
            f"An adapter was fused or unfused after the mask ({pruning.label}) was applied, so the original weights "
            "cannot be written back. Undo that first (pipe.unfuse_lora() or pipe.fuse_lora()), then remove the mask: "
            "mask.remove(pipe)."
        )
    layers, kept = _layers_of(denoiser, pruning), 0
    for name, own in pruning.layers.items():
        layer = layers.get(name)
        if layer is None:
            kept += len(own.indices)
            continue
        values = read(layer, own.indices)
        is_pruned = same(values, own.after)
        kept += int((~is_pruned).sum())
        write(layer, own.indices, torch.where(is_pruned, own.before.to(values.device, values.dtype), values))
    delattr(denoiser, _RECORD)
    return kept


def warn_of_kept(kept: int) -> None:
    """Warns of the weights that `restore` left alone."""
    if kept:
        log.warning(
            f"{kept} pruned weights no longer had the values that the mask gave them: something else wrote to them "
            "after the mask was applied, such as another checkpoint. They keep the values that they have now; all "
            "others have their original values. If you fused an adapter over the mask and unloaded it, load the model "
            "again."
        )


@contextmanager
def needed(denoiser: nn.Module, *, stays: bool) -> Iterator[None]:
    """Restores a denoiser at the end of the last `with` block that needs its pruning.

    An exception that leaves the block is not replaced by one from restoring; that one is logged.

    Args:
        denoiser: a denoiser that carries a pruning.
        stays: whether it did so already before the block.
    """
    pruning: Pruning = vars(denoiser)[_RECORD]
    if stays and pruning.blocks is None:
        yield
        return
    pruning.blocks = (pruning.blocks or 0) + 1
    try:
        yield
    except BaseException as error:
        pruning.blocks -= 1
        if pruning.blocks == 0:
            _restore_after(error, denoiser)
        raise
    pruning.blocks -= 1
    if pruning.blocks == 0:
        warn_of_kept(restore(denoiser))


def _restore_after(error: BaseException, denoiser: nn.Module) -> None:
    """Restores a denoiser while an exception is on its way, and logs an exception from that."""
    try:
        warn_of_kept(restore(denoiser))
    except Exception as second:
        log.error(f"After {type(error).__name__}, the original weights could not be written back. {second}")


def look(denoiser: nn.Module, pruning: Pruning) -> Present:
    """Compares the weights of a denoiser with the record of its pruning."""
    layers, present = _layers_of(denoiser, pruning), Present()
    for name, own in pruning.layers.items():
        layer = layers.get(name)
        if layer is None:
            present.other += len(own.indices)
            continue
        values = read(layer, own.indices)
        is_pruned, is_original = same(values, own.after), same(values, own.before)
        present.pruned += int((is_pruned & ~is_original).sum())
        present.original += int((is_original & ~is_pruned).sum())
        present.other += int((~is_original & ~is_pruned).sum())
    return present


def _layers_of(denoiser: nn.Module, pruning: Pruning) -> dict[str, MaskableLayer]:
    """Returns the layers of a pruning, but none that is gone or has another shape now."""
    layers = layers_at(denoiser, {name: own.first_input for name, own in pruning.layers.items()})
    return {name: layer for name, layer in layers.items() if layer.shape == pruning.layers[name].shape}


def _write_after(layers: Mapping[str, MaskableLayer], pruning: Pruning) -> None:
    for name, layer in pruning.layers.items():
        write(layers[name], layer.indices, layer.after)
