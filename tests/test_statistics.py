"""Collecting a group's statistics: what arrives row by row is Eq. 2 and 3 of each concept."""

import numpy as np
import pytest
import reference
import torch

from fia.statistics import GroupStatistics

LAYERS = {"first": (3, 8), "second": (5, 4)}


def random_rows(steps, rows, seed=0):
    """U of every step, row and layer."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [{name: torch.rand(shape, generator=generator) for name, shape in LAYERS.items()} for _ in range(rows)]
        for _ in range(steps)
    ]


def collect(steps, ratios, prompts, count_ties=False):
    statistics = GroupStatistics(list(LAYERS), ratios, prompts, count_ties=count_ties)
    for rows in steps:
        for name in LAYERS:
            for row, layers in enumerate(rows):
                statistics.receive(name, row, layers[name].clone())
    return statistics


@pytest.mark.parametrize(("concepts", "prompts", "steps"), [(1, 1, 1), (1, 5, 3), (3, 2, 4)])
def test_every_concept_is_integrated_as_if_alone_with_the_base_prompts(concepts, prompts, steps):
    rows = random_rows(steps, prompts * (1 + concepts))
    ratios = [0.1, 0.3, 0.5][:concepts]
    statistics = collect(rows, ratios, prompts)
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
    both, second = collect(rows, [0.2], 2), collect(rows[1:], [0.2], 2)
    for name in LAYERS:
        assert torch.equal(both.layers[name].base.mean, second.layers[name].base.mean)
        assert torch.equal(both.layers[name].base.std, second.layers[name].base.std)
        assert torch.equal(both.layers[name].concept.value, second.layers[name].concept.value)


def test_ties_are_counted_where_asked_for():
    base, concept = torch.zeros(3, 8), torch.ones(3, 8)
    rows = [[{"first": base, "second": torch.zeros(5, 4)}, {"first": concept, "second": torch.ones(5, 4)}]]
    for count_ties, frequency in ((False, 0.0), (True, 1.0)):
        integral = collect(rows, [0.25], 1, count_ties).layers["first"].integrals[0]
        assert torch.equal(integral.frequency, torch.full((3, 8), frequency))
