"""NeuronMask: what it says about itself, fused and with fewer concepts."""

from dataclasses import replace

import pytest
import reference
import torch
from same_mask import same


def test_the_fused_mask_is_the_rule_of_equation_8_layer_by_layer(mask):
    assert mask.concepts == ("church", "golf ball", "Van Gogh")
    for name in mask.shapes:
        claims = [layers[name] for layers in mask.neurons.values()]
        assert mask.pruned[name].tolist() == reference.fuse(claims, mask.agnostic_ratio)
        assert torch.isin(mask.pruned[name], torch.cat(claims)).all()


def test_numbers_add_up(mask):
    claimed = sum(len(torch.cat([layers[n] for layers in mask.neurons.values()]).unique()) for n in mask.shapes)
    spared_by_hand = sum(
        int((torch.bincount(torch.cat([layers[name] for layers in mask.neurons.values()])) >= 3).sum())
        for name in mask.shapes
    )
    assert mask.agnostic_threshold == 3  # ceil(0.9 * 3)
    assert mask.number_spared == spared_by_hand > 0
    assert mask.number_pruned == claimed - spared_by_hand
    assert mask.sparsity == mask.number_pruned / (4 * 16 * 64)
    assert mask.denoiser_sparsity == mask.number_pruned / mask.denoiser_parameters


def test_the_order_of_concepts_is_irrelevant_for_what_is_pruned(mask):
    backwards = replace(mask, neurons=dict(reversed(mask.neurons.items())))
    assert backwards.concepts == mask.concepts[::-1]
    assert same(backwards.pruned, mask.pruned)


def test_without_a_concept_the_others_are_fused_anew(mask):
    fewer = mask.without("golf ball")
    assert fewer.concepts == ("church", "Van Gogh")
    for name in mask.shapes:
        claims = [mask.neurons[concept][name] for concept in fewer.concepts]
        assert fewer.pruned[name].tolist() == reference.fuse(claims, mask.agnostic_ratio)
    assert len(mask.concepts) == 3


def test_one_concept_left_prunes_all_of_its_neurons_and_none_left_nothing(mask):
    assert same(mask.without("church", "golf ball").pruned, mask.neurons["Van Gogh"])
    nothing = mask.without(*mask.concepts)
    assert nothing.concepts == ()
    assert (nothing.number_pruned, nothing.number_spared, nothing.sparsity) == (0, 0, 0)
    assert nothing.pruned.keys() == mask.shapes.keys()


@pytest.mark.usefixtures("any_types")
def test_without_an_unknown_concept_is_refused(mask):
    with pytest.raises(
        ValueError, match="'tench' is not in this mask; name a concept that it holds: church, golf ball, Van Gogh"
    ):
        mask.without("church", "tench")
    with pytest.raises(ValueError, match="that it holds: nothing"):
        mask.without(*mask.concepts).without("tench")
    with pytest.raises(TypeError, match=r"\['church'\] is a list, not a name; give names"):
        mask.only(["church"])


def test_a_mask_says_in_one_line_what_it_is(mask):
    assert repr(mask) == (
        f"<NeuronMask without 'church', 'golf ball', 'Van Gogh': {mask.sparsity:.2%} of 4 layers, "
        f"{mask.denoiser_sparsity:.3%} of the UNet2DConditionModel of tiny>"
    )
    many = replace(mask, neurons={f"thing {i}": mask.neurons["church"] for i in range(50)})
    assert "'thing 4' and 45 more: " in repr(many)
    assert "\n" not in repr(many)
    assert "without nothing: 0.00% of 4 layers" in repr(mask.only())
