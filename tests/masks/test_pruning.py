"""Editing weights in place: zeros, and every original back bit for bit."""

import copy

import pytest
import torch
from bits import assert_same_bits, bits
from torch import nn

from fia.masks import pruning, weights
from fia.masks.pruning import current_pruning, fingerprint, look, prune, restore
from fia.models.layers import maskable_layers

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pruned_connections_are_zero_and_all_others_as_before(pipe, mask, dtype):
    unet = pipe.unet.to(dtype)
    before = bits(unet)
    prune(unet, maskable_layers(unet), mask.pruned, "all")
    layers = maskable_layers(unet)
    for name, indices in mask.pruned.items():
        expected = before[f"{name}.weight"].flatten()
        expected[indices.long()] = 0
    assert_same_bits(unet, before)
    assert sum(int((layer.weight == 0).sum()) for layer in layers.values()) == mask.number_pruned


@pytest.mark.parametrize("dtype", DTYPES)
def test_restoring_gives_every_bit_back_with_negative_zeros_and_nans(pipe, mask, dtype):
    unet = pipe.unet.to(dtype)
    for name, layer in maskable_layers(unet).items():
        rows, columns = mask.pruned[name] // layer.in_features, mask.pruned[name] % layer.in_features
        with torch.no_grad():
            layer.weight[rows[0], columns[0]] = -0.0
            layer.weight[rows[1], columns[1]] = float("nan")
            layer.weight[rows[2], columns[2]] = float("-inf")
    before = bits(unet)
    prune(unet, maskable_layers(unet), mask.pruned, "all")
    restore(unet)
    assert_same_bits(unet, before)
    assert current_pruning(unet) is None
    assert pruning._RECORD not in vars(unet)


def test_indices_count_along_rows(pipe):
    name, layer = next(iter(maskable_layers(pipe.unet).items()))
    prune(pipe.unet, maskable_layers(pipe.unet), {name: torch.tensor([3, 64 + 5])}, "two")
    assert (layer.weight == 0).nonzero().tolist() == [[0, 3], [1, 5]]


def test_nothing_to_prune_changes_nothing(pipe):
    before = bits(pipe.unet)
    layers = maskable_layers(pipe.unet)
    prune(pipe.unet, layers, {name: torch.empty(0, dtype=torch.int32) for name in layers}, "nothing")
    assert_same_bits(pipe.unet, before)
    restore(pipe.unet)
    assert_same_bits(pipe.unet, before)


def test_restoring_an_unedited_model_changes_nothing(pipe):
    before = bits(pipe.unet)
    assert restore(pipe.unet) == 0
    assert_same_bits(pipe.unet, before)


def test_pruning_the_same_again_keeps_the_originals(pipe, mask):
    before = bits(pipe.unet)
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "once")
    edited = bits(pipe.unet)
    prune(
        pipe.unet, maskable_layers(pipe.unet), {name: indices.clone() for name, indices in mask.pruned.items()}, "twice"
    )
    assert_same_bits(pipe.unet, edited)
    restore(pipe.unet)
    assert_same_bits(pipe.unet, before)


def test_another_edit_on_top_is_refused(pipe, mask):
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "church")
    edited = bits(pipe.unet)
    with pytest.raises(
        ValueError, match=r"A mask \(church\) is applied to this pipeline, and applying one for tench on top"
    ):
        prune(pipe.unet, maskable_layers(pipe.unet), mask.without("church").pruned, "tench")
    assert_same_bits(pipe.unet, edited)


@pytest.mark.parametrize("failing_call", range(8))
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_pruning_interrupted_midway_leaves_the_model_untouched(pipe, mask, monkeypatch, failing_call, error):
    before, original, calls = bits(pipe.unet), weights._positions, []

    def positions(layer, indices):
        calls.append(None)
        if len(calls) == failing_call + 1:
            raise error("midway")
        return original(layer, indices)

    # Four layers are read, then four are written: each of the eight may be the one that fails.
    monkeypatch.setattr(weights, "_positions", positions)
    with pytest.raises(error, match="midway"):
        prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "all")
    assert_same_bits(pipe.unet, before)
    assert current_pruning(pipe.unet) is None


def test_the_record_is_no_part_of_the_state_dict(pipe, mask):
    keys = pipe.unet.state_dict().keys()
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "all")
    assert pipe.unet.state_dict().keys() == keys


def test_a_copy_of_an_edited_model_can_be_restored_on_its_own(pipe, mask):
    before = bits(pipe.unet)
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "all")
    edited = bits(pipe.unet)
    other = copy.deepcopy(pipe.unet)
    restore(other)
    assert_same_bits(other, before)
    assert_same_bits(pipe.unet, edited)
    restore(pipe.unet)
    assert_same_bits(pipe.unet, before)


@pytest.mark.parametrize(("first", "then"), [(torch.float32, torch.float16), (torch.bfloat16, torch.float32)])
def test_restoring_after_a_cast_gives_the_cast_originals(pipe, mask, first, then):
    unet = pipe.unet.to(first)
    before = bits(copy.deepcopy(unet).to(then))
    prune(unet, maskable_layers(unet), mask.pruned, "all")
    unet.to(then)
    restore(unet)
    assert_same_bits(unet, before)


def test_values_written_in_between_stay_and_all_others_come_back(pipe, mask):
    before = bits(pipe.unet)
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "all")
    name, layer = next(iter(maskable_layers(pipe.unet).items()))
    own = mask.pruned[name][:3].long()
    with torch.no_grad():
        layer.weight.view(-1)[own] = 1
    assert restore(pipe.unet) == 3
    assert layer.weight.view(-1)[own].tolist() == [1, 1, 1]
    layer.weight.view(-1)[own] = before[f"{name}.weight"].flatten()[own].view(torch.float32)
    assert_same_bits(pipe.unet, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_weights_are_known_after_casts_there_and_back(pipe, mask, dtype):
    share = {name: torch.full((len(indices),), 0.3) for name, indices in mask.pruned.items()}
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "all", share)
    pipe.unet.to(dtype).to(torch.float32)
    present = look(pipe.unet, current_pruning(pipe.unet))
    assert (present.original, present.other) == (0, 0)
    assert present.pruned > 0.99 * mask.number_pruned  # the smallest are the same in float16, pruned or not


def test_nan_weights_at_half_strength_are_known(pipe, mask):
    name, layer = next(iter(maskable_layers(pipe.unet).items()))
    layer.weight.view(-1)[mask.pruned[name][0]] = float("nan")
    before = bits(pipe.unet)
    prune(
        pipe.unet,
        maskable_layers(pipe.unet),
        mask.pruned,
        "all",
        {n: torch.full((len(i),), 0.5) for n, i in mask.pruned.items()},
    )
    assert look(pipe.unet, current_pruning(pipe.unet)).other == 0
    assert restore(pipe.unet) == 0
    assert_same_bits(pipe.unet, before)


def test_fingerprints_tell_layers_and_indices_apart_but_not_order_or_dtype():
    one = {"a": torch.tensor([1, 2]), "b": torch.tensor([3])}
    assert fingerprint(one) == fingerprint({"b": torch.tensor([3]), "a": torch.tensor([1, 2], dtype=torch.int32)})
    assert fingerprint(one) != fingerprint({"a": torch.tensor([1, 2]), "b": torch.tensor([4])})
    assert fingerprint(one) != fingerprint({"a": torch.tensor([1]), "b": torch.tensor([2, 3])})
    assert fingerprint(one) != fingerprint({"a": torch.tensor([1, 2]), "c": torch.tensor([3])})


def test_weights_stay_the_same_parameters(pipe, mask):
    parameters = dict(pipe.unet.named_parameters())
    assert isinstance(next(iter(parameters.values())), nn.Parameter)
    prune(pipe.unet, maskable_layers(pipe.unet), mask.pruned, "all")
    restore(pipe.unet)
    assert all(parameter is parameters[name] for name, parameter in pipe.unet.named_parameters())
