"""Eq. 2 and the running moments under it."""

import numpy as np
import pytest
import reference
import torch

from fia.finding.saliency import contrastive_saliency
from fia.finding.sums import Mean, Moments


def gather(kind, values):
    statistic = kind()
    for i in range(0, len(values), 3):  # a few at a time
        statistic.add(torch.stack(list(values[i : i + 3])))
    return statistic


def mean_plus_std(values):
    return gather(Moments, values).mean_plus_std()


def test_worked_example_of_equation_2():
    # Base prompts 1 and 3: mean 2, std 1. Concept means 5, 3 and 0: 5 - 2 - 1 = 2, 3 - 2 - 1 = 0, and 0 - 3 < 0.
    base = mean_plus_std([torch.full((1, 3), 1.0), torch.full((1, 3), 3.0)])
    assert torch.equal(contrastive_saliency(torch.tensor([[5.0, 3.0, 0.0]]), base), torch.tensor([[2.0, 0.0, 0.0]]))


@pytest.mark.parametrize("number", [1, 2, 5, 40])
def test_equation_2_against_loops(number):
    generator = torch.Generator().manual_seed(number)
    concept = [torch.rand(3, 4, generator=generator) + 0.3 for _ in range(number)]
    base = [torch.rand(3, 4, generator=generator) for _ in range(number)]
    saliency = contrastive_saliency(gather(Mean, concept).mean(), mean_plus_std(base))
    # Values are below 2; each of up to 40 updates rounds at 6e-8 of that.
    np.testing.assert_allclose(
        saliency.numpy(), reference.contrastive_saliency(concept, base), rtol=0, atol=40 * 2 * 6e-8
    )


def test_equal_prompts_have_no_saliency():
    values = list(torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(0)))
    assert contrastive_saliency(gather(Mean, values).mean(), mean_plus_std(values)).count_nonzero() == 0


def test_the_arguments_are_left_as_they_were():
    concept_mean, base = torch.ones(2, 2), torch.full((2, 2), 0.25)
    first = contrastive_saliency(concept_mean, base)
    assert torch.equal(contrastive_saliency(concept_mean, base), first)
    assert torch.equal(concept_mean, torch.ones(2, 2))
    assert torch.equal(base, torch.full((2, 2), 0.25))


def test_the_std_of_a_single_base_prompt_is_zero():
    assert torch.equal(mean_plus_std([torch.tensor([3.0, -1.0])]), torch.tensor([3.0, -1.0]))


def test_moments_keep_small_differences_of_large_values():
    # The textbook mean of squares minus square of mean would lose all of it: 1e8 - 1e8 in float32.
    values = [torch.tensor([10_000.0 + step]) for step in (-1.0, 0.0, 1.0)]
    # A float32 near 10,000 is spaced 1e-3 apart: the running mean is that exact, and so is the std.
    np.testing.assert_allclose(gather(Moments, values).mean.numpy(), 10_000, rtol=0, atol=1e-3)
    np.testing.assert_allclose(mean_plus_std(values).numpy() - 10_000, np.sqrt(2 / 3), rtol=0, atol=2e-3)


def test_means_agree_with_numpy():
    values = list(torch.rand(7, 2, 3, generator=torch.Generator().manual_seed(2)))
    expected = np.mean([value.numpy() for value in values], axis=0, dtype=np.float64)
    # Seven updates of values below 1, rounded at 6e-8 each.
    np.testing.assert_allclose(gather(Mean, values).mean().numpy(), expected, rtol=0, atol=7 * 6e-8)
    np.testing.assert_allclose(gather(Moments, values).mean.numpy(), expected, rtol=0, atol=7 * 6e-8)
