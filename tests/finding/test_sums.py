"""Collecting a group's statistics: what arrives a few rows at a time is Eq. 2 and 3 of each concept."""

import numpy as np
import pytest
import reference
import torch

from fia.finding.sums import GroupStatistics

LAYERS = {"first": (3, 8), "second": (5, 4)}


def random_rows(steps, rows, seed=0):
    """U of every step, row and layer."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [{name: torch.rand(shape, generator=generator) for name, shape in LAYERS.items()} for _ in range(rows)]
        for _ in range(steps)
    ]


def collect(steps, ratios, prompts, count_ties=False, at_once=3):
    statistics = GroupStatistics(LAYERS, ratios, prompts, count_ties=count_ties)
    for rows in steps:
        for name in LAYERS:
            for start in range(0, len(rows), at_once):
                some = range(start, min(start + at_once, len(rows)))
                statistics.receive(name, some, torch.stack([rows[row][name] for row in some]))
    return statistics


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(("concepts", "prompts", "steps"), [(1, 1, 1), (1, 5, 3), (3, 2, 4)])
def test_every_concept_is_integrated_as_if_alone_with_the_base_prompts(concepts, prompts, steps, at_once):
    rows = random_rows(steps, prompts * (1 + concepts))
    ratios = [0.1, 0.3, 0.5][:concepts]
    statistics = collect(rows, ratios, prompts, at_once=at_once)
    for name in LAYERS:
        for concept, ratio in enumerate(ratios):
            own = range(prompts * (1 + concept), prompts * (2 + concept))
            saliency = [
                reference.contrastive_saliency([step[r][name] for r in own], [step[r][name] for r in range(prompts)])
                for step in rows
            ]
            integral = statistics.layers[name].integrals[concept]
            assert integral.steps == steps
            # Values below 1 through a few updates, each rounded at 6e-8.
            np.testing.assert_allclose(
                integral.aggregate().numpy(), reference.aggregate(saliency, ratio), rtol=0, atol=2e-6
            )


def test_a_step_forgets_the_step_before():
    rows = random_rows(2, 4)
    both, first, second = (collect(some, [0.2], 2) for some in (rows, rows[:1], rows[1:]))
    for name in LAYERS:
        sums, *of_one = (statistics.layers[name].integrals[0] for statistics in (both, first, second))
        assert torch.equal(sums.magnitude, of_one[0].magnitude + of_one[1].magnitude)
        assert torch.equal(sums.frequency, of_one[0].frequency + of_one[1].frequency)
        assert both.layers[name].base_mean_plus_std is both.layers[name].concept.sum is None


def test_ties_are_counted_where_asked_for():
    base, concept = torch.zeros(3, 8), torch.ones(3, 8)
    rows = [[{"first": base, "second": torch.zeros(5, 4)}, {"first": concept, "second": torch.ones(5, 4)}]]
    for count_ties, frequency in ((False, 0.0), (True, 1.0)):
        integral = collect(rows, [0.25], 1, count_ties).layers["first"].integrals[0]
        assert torch.equal(integral.frequency, torch.full((3, 8), frequency))


@pytest.mark.parametrize(("row", "wrong"), [(0, float("nan")), (1, float("inf")), (2, float("nan")), (3, float("inf"))])
def test_what_is_not_finite_is_an_error_that_names_the_layer_and_the_step(row, wrong):
    rows = random_rows(2, 4)
    rows[1][row]["second"][1, 2] = wrong
    with pytest.raises(ValueError, match=r"layer second are not finite at step 2.*Load it in float32 or bfloat16"):
        collect(rows, [0.2], 2)
