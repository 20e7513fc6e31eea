"""Eq. 3 to 6: thresholds, integration over steps, and the two filters."""

import numpy as np
import pytest
import reference
import torch

from fia.finding import neurons
from fia.finding.neurons import TemporalIntegral, active_connections, select_neurons, share, top


def integrate(steps, ratio, **options):
    integral = TemporalIntegral(steps[0].shape)
    for saliency in steps:
        integral.add(saliency.clone(), ratio, **options)
    return integral


def random_saliency(*shape, seed=0):
    """At least a third of it zero, as after the clamp of Eq. 2."""
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.33).clamp_(min=0)


@pytest.mark.parametrize(
    ("ratio", "number", "expected"),
    [(0, 64, 0), (0.0, 1, 0), (1, 64, 64), (1.0, 1, 1), (0.001, 64, 1), (0.05, 64, 3), (0.02, 1024, 20), (0.3, 10, 3)],
)
def test_shares_are_rounded_to_the_nearest_and_at_least_one(ratio, number, expected):
    assert share(ratio, number) == expected


def test_the_top_share_is_active():
    saliency = torch.tensor([[0.1, 0.9, 0.3], [0.7, 0.0, 0.5]])
    assert torch.equal(active_connections(saliency, 1 / 3), torch.tensor([[False, True, False], [True, False, False]]))


@pytest.mark.parametrize("count_ties", [False, True])
def test_no_share_is_never_active_and_the_whole_is_active_above_zero(count_ties):
    saliency = random_saliency(4, 6)
    assert not active_connections(saliency, 0, count_ties=count_ties).any()
    assert torch.equal(active_connections(saliency, 1, count_ties=count_ties), saliency > 0)


def test_ties_at_the_threshold_are_out_unless_they_are_counted():
    # The top half of six values ends among the three fives: tau is 5, which only the 7 exceeds.
    saliency = torch.tensor([[7.0, 5.0, 5.0], [5.0, 2.0, 1.0]])
    strict, ties = active_connections(saliency, 0.5), active_connections(saliency, 0.5, count_ties=True)
    assert strict.flatten().tolist() == [True, False, False, False, False, False]
    assert ties.flatten().tolist() == [True, True, True, True, False, False]


def test_ties_away_from_the_threshold_change_nothing():
    saliency = torch.tensor([[7.0, 7.0, 5.0], [2.0, 1.0, 1.0]])
    for count_ties in (False, True):
        active = active_connections(saliency, 0.5, count_ties=count_ties)
        assert active.flatten().tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize("ratio", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("count_ties", [False, True])
def test_zero_saliency_is_never_active(ratio, count_ties):
    assert not active_connections(torch.zeros(4, 6), ratio, count_ties=count_ties).any()
    few = torch.zeros(4, 6)
    few[1, 2] = 1
    active = active_connections(few, ratio, count_ties=count_ties)
    assert active.flatten().nonzero().tolist() == [[8]]


def test_worked_example_of_equation_3():
    # r1 = 1/4 of four connections: one is active at each step, the 4 at the first and the 2 at the second.
    steps = [torch.tensor([[4.0, 1.0], [0.0, 1.0]]), torch.tensor([[0.0, 2.0], [0.0, 1.0]])]
    # mean S = [2, 1.5, 0, 1], frequency = [1/2, 1/2, 0, 0]; A is half of their sum.
    assert torch.equal(integrate(steps, 0.25).aggregate(), torch.tensor([[1.25, 1.0], [0.0, 0.5]]))
    # "max" divides mean S by 2: [1, 3/4, 0, 1/2].
    assert torch.equal(integrate(steps, 0.25).aggregate("max"), torch.tensor([[0.75, 0.625], [0.0, 0.25]]))


@pytest.mark.parametrize("ratio", [0, 0.05, 0.3, 1])
@pytest.mark.parametrize("number_of_steps", [1, 2, 7])
def test_equation_3_against_loops(ratio, number_of_steps):
    steps = [random_saliency(5, 9, seed=seed) for seed in range(number_of_steps)]
    aggregated = integrate(steps, ratio).aggregate()
    # Sums of at most seven values below 1, each rounded at 6e-8.
    np.testing.assert_allclose(aggregated.numpy(), reference.aggregate(steps, ratio), rtol=0, atol=7 * 6e-8)


@pytest.mark.parametrize("magnitude", ["raw", "max"])
def test_aggregating_twice_gives_the_same_and_all_zero_stays_zero(magnitude):
    integral = integrate([random_saliency(4, 6)], 0.1)
    assert torch.equal(integral.aggregate(magnitude), integral.aggregate(magnitude))
    assert torch.equal(integrate([torch.zeros(4, 6)], 0.1).aggregate(magnitude), torch.zeros(4, 6))


def test_the_greatest_magnitude_counts_as_one_whatever_the_scale():
    steps = [random_saliency(4, 6, seed=seed) for seed in range(3)]
    small = integrate([saliency / 1024 for saliency in steps], 0.1).aggregate("max")
    assert torch.equal(small, integrate(steps, 0.1).aggregate("max"))  # scaled by a power of two: nothing rounds
    assert not torch.equal(integrate(steps, 0.1).aggregate("raw"), integrate(steps, 0.1).aggregate("max"))


def test_worked_example_of_equations_4_to_6():
    # r2 = 1/4: one per row, two in the layer. The 8 is in the layer's two, but only second in its row.
    aggregated = torch.tensor([[9.0, 8.0, 0.0, 0.0], [1.0, 2.0, 3.0, 0.0]])
    assert select_neurons(aggregated, 0.25).tolist() == [0]
    # r2 = 1/2: two per row, four in the layer: 9 and 8, 3 and 2.
    assert select_neurons(aggregated, 0.5).tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize("ratio", [0, 0.001, 0.02, 0.1, 0.5, 0.9, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 12), (12, 1), (6, 20)])
def test_equations_4_to_6_against_loops(ratio, shape):
    aggregated = random_saliency(*shape, seed=3)
    assert select_neurons(aggregated, ratio).tolist() == reference.select_neurons(aggregated.double().numpy(), ratio)


def test_no_share_selects_nothing_and_the_whole_selects_all_above_zero():
    aggregated = random_saliency(4, 6)
    assert select_neurons(aggregated, 0).tolist() == []
    assert select_neurons(aggregated, 1).tolist() == (aggregated.flatten() > 0).nonzero().flatten().tolist()


@pytest.mark.parametrize("ratio", [0.01, 0.5, 1])
def test_zero_saliency_is_never_selected(ratio):
    assert select_neurons(torch.zeros(4, 6), ratio).tolist() == []
    few = torch.zeros(4, 6)
    few[1, 2] = 0.001
    assert select_neurons(few, ratio).tolist() == [8]


def test_a_tiny_share_still_selects_the_greatest():
    aggregated = random_saliency(4, 6)
    assert select_neurons(aggregated, 1e-6).tolist() == [int(aggregated.argmax())]


def test_ties_at_a_boundary_fill_the_share_and_no_more():
    # Both rows give two of their equal values; the layer's four are all of them or fewer.
    aggregated = torch.ones(2, 4)
    chosen = select_neurons(aggregated, 0.5)
    rows = torch.bincount(chosen // 4, minlength=2)
    assert len(chosen) <= 4
    assert (rows <= 2).all()
    assert torch.equal(chosen, chosen.unique())


@pytest.mark.parametrize("number", [0, 1, 50, 1_000, 4_000, 5_999, 6_000])
@pytest.mark.parametrize("kind", ["even", "a few columns", "mostly zero", "all equal"])
def test_the_top_of_many_values_is_that_of_all_of_them(number, kind, monkeypatch):
    monkeypatch.setattr(neurons, "SAMPLED", 500)
    values = torch.rand(60, 100, generator=torch.Generator().manual_seed(0)) + 1
    if kind == "a few columns":
        values[:, ::12] += 5  # which a sample of every twelfth value would take for all there is
    elif kind == "mostly zero":
        values[:, 3:] = 0
    elif kind == "all equal":
        values[:] = 1
    largest, indices = top(values, number)
    assert torch.equal(largest, values.flatten()[indices])
    assert torch.equal(largest.sort().values, values.flatten().sort().values[6_000 - number :])
    assert len(indices.unique()) == number


def test_most_values_are_put_aside_before_the_largest_are_selected(monkeypatch):
    monkeypatch.setattr(neurons, "SAMPLED", 500)
    values, sizes = torch.rand(60, 100, generator=torch.Generator().manual_seed(0)), []
    topk = torch.Tensor.topk
    monkeypatch.setattr(torch.Tensor, "topk", lambda self, n, **kw: sizes.append(len(self)) or topk(self, n, **kw))
    top(values, 100)
    assert max(sizes) < 2_000  # of 6,000: a sample, and what lies above its bound
