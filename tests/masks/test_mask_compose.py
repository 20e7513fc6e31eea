"""Masks combined, reduced, weakened and refused, without the model."""

import copy
from dataclasses import replace

import pytest
import reference
import torch
from bits import assert_same_bits, bits
from same_mask import same

from fia import NeuronMask
from fia.masks.random_control import random_mask
from fia.models.layers import hash_weights, maskable_layers


def test_only_keeps_the_order_of_the_mask_and_everything_about_the_concepts_kept(mask):
    kept = mask.with_strengths({"church": 0.5, "Van Gogh": 0.25}).only("Van Gogh", "golf ball")
    assert kept.concepts == ("golf ball", "Van Gogh")
    assert kept.strengths == {"Van Gogh": 0.25}
    assert kept.kinds == {"golf ball": "object", "Van Gogh": "style"}
    assert same(kept.only("golf ball").pruned, mask.neurons["golf ball"])
    assert same(mask.only("golf ball", "Van Gogh").pruned, mask.without("church").pruned)
    with pytest.raises(ValueError, match="'tench' is not in this mask"):
        mask.only("church", "tench")


def test_the_union_of_parts_is_the_whole(mask):
    one, two = mask.only("church"), mask.without("church")
    whole = one | two
    assert whole.concepts == mask.concepts
    assert same(whole.pruned, mask.pruned)
    assert whole.fingerprint == mask.fingerprint == (two | one).fingerprint
    assert [record["concepts"] for record in whole.provenance] == [
        [{"name": "church", "kind": "object"}],
        [{"name": "golf ball", "kind": "object"}, {"name": "Van Gogh", "kind": "style"}],
    ]
    assert whole.settings == [{"seed": 0}]  # the same twice


def test_masks_that_cannot_be_combined_are_refused(mask):
    church, others = mask.only("church"), mask.without("church")
    with pytest.raises(ValueError, match=r"Both masks hold 'church', 'golf ball'; take that out of one of them first"):
        _ = mask | mask.without("Van Gogh")
    with pytest.raises(ValueError, match=r"different alphas, 0\.6 and 0\.9"):
        _ = church.with_agnostic_ratio(0.6) | others
    with pytest.raises(
        ValueError, match=r"of different models: tiny \(weights [0-9a-f]{12}\) and tiny \(weights other"
    ):
        _ = church | replace(others, weights_hash="other weights")
    with pytest.raises(ValueError, match="of different models"):
        _ = church | replace(others, shapes=dict(list(mask.shapes.items())[:1]))


@pytest.mark.parametrize("alpha", [0, 0.5, 1.5])
def test_another_alpha_fuses_anew(mask, alpha):
    other = mask.with_agnostic_ratio(alpha)
    for name in mask.shapes:
        claims = [layers[name] for layers in mask.neurons.values()]
        assert other.pruned[name].tolist() == reference.fuse(claims, alpha)
    assert mask.agnostic_ratio == 0.9


@pytest.mark.parametrize("alpha", [-0.1, float("nan"), float("inf"), 10**400])
def test_an_impossible_alpha_is_refused(mask, alpha):
    with pytest.raises(ValueError, match=f"agnostic_ratio={alpha}; it must be at least 0"):
        mask.with_agnostic_ratio(alpha)


def test_whole_strengths_are_plain_pruning(mask):
    assert mask.remaining is None
    assert mask.with_strengths({"church": 1}).remaining is None
    assert mask.with_strengths({"church": 1.0}).fingerprint == mask.fingerprint
    assert mask.with_strengths({"church": 0.5}).fingerprint != mask.fingerprint


def test_the_strongest_concept_that_claims_a_connection_decides(mask):
    strengths = {"church": 0.25, "golf ball": 0.75}  # Van Gogh: 1
    weak = mask.with_strengths(strengths)
    assert same(weak.pruned, mask.pruned)
    for name, indices in weak.pruned.items():
        for index, left in zip(indices.tolist(), weak.remaining[name].tolist(), strict=True):
            claiming = [concept for concept in mask.concepts if index in mask.neurons[concept][name]]
            assert left == 1 - max(strengths.get(concept, 1) for concept in claiming)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_weakened_mask_leaves_its_share_of_every_weight_and_is_taken_back(pipe, mask, dtype):
    pipe.unet.to(dtype)
    before = bits(pipe.unet)
    weak = mask.with_strengths(dict.fromkeys(mask.concepts, 0.75))
    original = {name: layer.weight.data.clone() for name, layer in maskable_layers(pipe.unet).items()}
    weak.apply(pipe)
    for name, layer in maskable_layers(pipe.unet).items():
        expected = original[name].flatten()
        expected[mask.pruned[name].long()] *= 0.25  # a power of two: exact in every type
        assert torch.equal(layer.weight.data, expected.view_as(layer.weight))
    edited = bits(pipe.unet)
    weak.apply(pipe)
    assert_same_bits(pipe.unet, edited)
    with pytest.raises(ValueError, match="is applied to this pipeline, and applying one"):
        mask.apply(pipe)
    weak.remove(pipe)
    assert_same_bits(pipe.unet, before)


@pytest.mark.parametrize("strength", [0, -1, 1.01, float("nan")])
def test_impossible_strengths_are_refused(mask, strength):
    with pytest.raises(ValueError, match=rf"strength {strength} of 'golf ball' is not in \(0, 1\]"):
        mask.with_strengths({"golf ball": strength})
    with pytest.raises(ValueError, match="'tench' is not in this mask"):
        mask.with_strengths({"tench": 0.5})


def test_the_hash_of_the_weights_survives_casting_but_not_another_sign_name_or_shape(pipe, mask):
    layers = maskable_layers(pipe.unet)
    assert hash_weights(layers) == mask.weights_hash
    for dtype in (torch.float16, torch.bfloat16, torch.float32):  # one after the other: rounded twice
        pipe.unet.to(dtype)
        assert hash_weights(layers) == mask.weights_hash
    name, layer = next(iter(layers.items()))
    others = dict(list(layers.items())[1:])
    assert hash_weights({"other": layer} | others) != mask.weights_hash
    assert hash_weights(others) != mask.weights_hash
    layer.weight.data[3, 4] *= -1
    assert hash_weights(layers) != mask.weights_hash
    layer.weight.data[3, 4] *= -1
    assert hash_weights({name: layer} | others) == mask.weights_hash


def test_a_model_with_other_weights_is_refused_unless_asked_for(pipe, mask):
    next(iter(maskable_layers(pipe.unet).values())).weight.data[0, 0] *= -1
    before = bits(pipe.unet)
    for refuse in (mask.apply, lambda pipe: mask.applied(pipe).__enter__()):
        with pytest.raises(ValueError, match=r"found in other weights \(tiny, hash [0-9a-f]{12}\) than the model has"):
            refuse(pipe)
    assert_same_bits(pipe.unet, before)
    with mask.applied(pipe, check_weights=False):
        assert mask.is_applied(pipe)
        mask.apply(pipe)  # again: the weights are those of the mask now, and nothing is compared
    mask.apply(pipe, check_weights=False)
    mask.remove(pipe)
    assert_same_bits(pipe.unet, before)


def test_a_mask_loaded_elsewhere_fits_the_same_model_in_another_type(pipe, mask, tmp_path):
    mask.save_pretrained(tmp_path)
    other = copy.deepcopy(pipe)
    other.unet.to(torch.float16)
    NeuronMask.from_pretrained(tmp_path).apply(other)
    assert mask.is_applied(other)


def test_the_random_control_of_a_weakened_mask_prunes_as_many_as_strongly(mask):
    weak = mask.with_strengths({"church": 0.25, "golf ball": 0.75})
    control = random_mask(weak)
    for name in mask.shapes:
        assert len(control.pruned[name]) == len(weak.pruned[name])
        assert torch.equal(control.remaining[name].sort().values, weak.remaining[name].sort().values)
        assert not torch.equal(control.pruned[name], weak.pruned[name])
    assert sum(map(len, control.provenance[0]["concepts"])) == len(control.concepts) == 3


def test_strengths_that_differ_in_the_seventh_digit_leave_the_control_whole(mask):
    weak = mask.with_strengths({"church": 1 / 3, "golf ball": 0.333333})
    control = random_mask(weak)
    assert control.number_pruned == weak.number_pruned
    assert all(torch.equal(control.remaining[n].sort().values, weak.remaining[n].sort().values) for n in mask.shapes)


def test_an_emptied_mask_still_knows_that_its_layers_were_chosen_by_hand(mask):
    by_hand = replace(mask, layer_pattern="*.ff.net.2")
    assert by_hand.without(*mask.concepts).layer_pattern == random_mask(by_hand).layer_pattern == "*.ff.net.2"
