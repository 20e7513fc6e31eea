"""Eq. 7 and 8: what many concepts claim is spared, the rest is pruned."""

import itertools

import pytest
import reference
import torch

from fia.masks.fusion import agnostic_threshold, fuse


def random_claims(concepts, seed=0, size=60, number=25):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(size, generator=generator)[:number].sort().values.int() for _ in range(concepts)]


def union(claims):
    return torch.cat(claims).unique()


@pytest.mark.parametrize(
    ("alpha", "concepts", "tau"),
    [
        (0.6, 10, 6),
        (0.6, 5, 3),
        (0.8, 5, 4),
        (0.6, 4, 3),  # ceil(2.4)
        (0.6, 2, 2),
        (0.7, 10, 7),
        (0.28, 25, 7),  # 7.000000000000001 in floating point
        (0.56, 50, 28),  # 28.000000000000004 in floating point
        (0.55, 100, 55),  # 55.00000000000001 in floating point
        (0.701, 10, 8),
        (1, 10, 10),
        (1.1, 10, 11),
        (1.5, 10, 11),
        (1e308, 10, 11),
        (0.6, 1, 2),  # from here on the literal rule would give 1 or 0 and prune nothing
        (0.5, 2, 2),
        (0.1, 2, 2),
        (0, 10, 2),
        (0.05, 10, 2),
    ],
)
def test_threshold_is_the_ceiling_and_at_least_two(alpha, concepts, tau):
    assert agnostic_threshold(alpha, concepts) == tau


def test_worked_example_of_equations_7_and_8():
    claims = [torch.tensor(indices, dtype=torch.int32) for indices in ([0, 1, 2], [1, 2, 3], [2, 3, 4], [2, 9])]
    # Claims: 0 once, 1 twice, 2 four times, 3 twice, 4 once, 9 once. alpha = 0.5 spares from two, 0.75 from three.
    assert fuse(claims, 0.5).tolist() == [0, 4, 9]
    assert fuse(claims, 0.75).tolist() == [0, 1, 3, 4, 9]
    assert fuse(claims, 1.25).tolist() == [0, 1, 2, 3, 4, 9]


@pytest.mark.parametrize("alpha", [0, 0.3, 0.5, 0.6, 0.7, 0.8, 1, 1.5])
@pytest.mark.parametrize("concepts", [1, 2, 3, 5, 10])
def test_equations_7_and_8_against_loops(alpha, concepts):
    claims = random_claims(concepts)
    assert fuse(claims, alpha).tolist() == reference.fuse(claims, alpha)


@pytest.mark.parametrize("alpha", [0, 0.6, 1, 2])
def test_a_single_concept_prunes_all_it_claims(alpha):
    (claims,) = random_claims(1)
    assert torch.equal(fuse([claims], alpha), claims)


@pytest.mark.parametrize("alpha", [0, 0.1, 0.5, 0.6, 1])
def test_two_concepts_spare_what_both_claim_and_only_that(alpha):
    one, two = random_claims(2)
    both = set(one.tolist()) & set(two.tolist())
    assert both
    assert set(fuse([one, two], alpha).tolist()) == (set(one.tolist()) | set(two.tolist())) - both


def test_alpha_above_one_is_the_union():
    claims = [*random_claims(3), *random_claims(3)]
    assert torch.equal(fuse(claims, 1.01), union(claims))


@pytest.mark.parametrize("alpha", [0, 0.4, 0.8, 1.2])
def test_the_mask_is_ascending_within_the_union_and_independent_of_the_order(alpha):
    claims = random_claims(6, seed=4)
    pruned = fuse(claims, alpha)
    assert torch.isin(pruned, union(claims)).all()
    assert (pruned.diff() > 0).all()
    assert torch.equal(fuse(claims[::-1], alpha), pruned)


def test_a_higher_alpha_prunes_more():
    claims = random_claims(8, seed=5)
    masks = [set(fuse(claims, alpha).tolist()) for alpha in (0, 0.25, 0.5, 0.75, 1, 1.25)]
    assert all(lower <= higher for lower, higher in itertools.pairwise(masks))
    assert masks[0] < masks[-1]


def test_concepts_without_neurons_count_as_concepts():
    nothing = torch.empty(0, dtype=torch.int32)
    shared = torch.tensor([4], dtype=torch.int32)
    assert fuse([shared, shared], 0.6).tolist() == []
    assert fuse([shared, shared, nothing, nothing], 0.6).tolist() == [4]
    assert fuse([nothing], 0.6).tolist() == []
