"""Sketches of moments and responses, against all tokens at once."""

import numpy as np
import pytest
import rewriting_reference as reference
import torch

from fia.finding import moments
from fia.finding.moments import GroupSketches, MomentSketch, ResponseSketch, SourceMoments


def decaying(tokens, width, seed=0):
    """Returns tokens whose second moment has eigenvalues that fall as those of activations do, and a mean."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    scales = 1 / (1 + torch.arange(width)) + 0.003
    return (torch.randn(tokens, width, generator=generator) * scales) @ turn + 0.2 * turn[0]


def test_a_narrow_layer_loses_nothing():
    x = decaying(50, 20)
    sketch = MomentSketch()
    for part in x.split(7):
        sketch.add(part)
    whole = sketch.low_rank(20).dense().numpy()
    np.testing.assert_allclose(whole, reference.moment(x), atol=1e-3 * np.abs(whole).max())  # float16 vectors


def test_the_leading_eigenvectors_of_a_wide_layer():
    x = decaying(2000, 600)
    sketch = MomentSketch()
    for part in x.split(300):
        sketch.add(part)
    found, exact = sketch.low_rank(16), reference.moment(x)
    values = np.linalg.eigvalsh(exact)[::-1]
    np.testing.assert_allclose(found.values.numpy(), values[:16], atol=1e-3 * values[0])
    assert found.rest == pytest.approx(values[16:].mean(), rel=0.1)
    cut = found.vectors.double().numpy()
    captured = np.trace(cut.T @ exact @ cut)
    assert captured == pytest.approx(values[:16].sum(), rel=0.01)


def test_the_leading_singular_vectors_of_a_response():
    generator = torch.Generator().manual_seed(1)
    x = decaying(2000, 600)
    effect = torch.randn(600, 3, generator=generator) @ torch.randn(3, 150, generator=generator)
    lacking = 0.1 * x @ effect + 0.01 * torch.randn(2000, 150, generator=generator)
    moment, sketch = MomentSketch(), ResponseSketch()
    for some_x, some_y in zip(x.split(300), lacking.split(300), strict=True):
        sketch.add(some_y, some_x, moment.add(some_x))
    exact = reference.response(lacking, torch.zeros_like(lacking), x)
    left, values, right = np.linalg.svd(exact)
    best = (left[:, :3] * values[:3]) @ right[:3]
    found = sketch.low_rank(3).dense().numpy()
    assert np.linalg.norm(found - exact) < 1.02 * np.linalg.norm(best - exact) + 1e-3 * np.linalg.norm(exact)


def test_the_largest_entry_of_every_vector_is_positive():
    """A decomposition may turn any of them, and then the same concepts would give another mask."""
    x, lacking = decaying(200, 30), decaying(200, 20, seed=3)
    moment, sketch = MomentSketch(), ResponseSketch()
    sketch.add(lacking, x, moment.add(x))
    for vectors in (moment.low_rank(8).vectors, sketch.low_rank(4).left):
        assert (vectors.amax(dim=0) >= -vectors.amin(dim=0)).all()


@pytest.mark.parametrize("slices", [[9], [1] * 9, [2, 5, 2], [4, 5]])
def test_rows_of_a_group_reach_their_sources_however_they_are_cut(slices):
    """Three prompts each: base, concept 0, concept 1; two steps."""
    group, steps = GroupSketches(["layer"], 2, 3, from_end=False), []
    for step in range(2):
        x, y = decaying(9 * 5, 8, seed=step).view(9, 5, 8), decaying(9 * 5, 4, seed=9 + step).view(9, 5, 4)
        steps.append((x, y))
        start = 0
        for number in slices:
            group.receive("layer", range(start, start + number), x[start : start + number], y[start : start + number])
            start += number
    layer = group.layers["layer"]
    assert layer.outputs == {}  # nothing is kept after a step

    def tokens(which, source):
        return torch.cat([step[which][3 * source : 3 * source + 3].flatten(0, 1) for step in steps])

    np.testing.assert_allclose(layer.base.low_rank(8).dense(), reference.moment(tokens(0, 0)), atol=1e-3)
    for concept in range(2):
        moment, response = layer.moments[concept].low_rank(8), layer.responses[concept].low_rank(4)
        np.testing.assert_allclose(moment.dense(), reference.moment(tokens(0, concept + 1)), atol=1e-3)
        expected = reference.response(tokens(1, 0), tokens(1, concept + 1), tokens(0, concept + 1))
        np.testing.assert_allclose(response.dense(), expected, atol=1e-3)


@pytest.mark.parametrize("from_end", [False, True])
def test_prompts_of_different_lengths_are_paired_at_the_image(from_end):
    """The base prompt has two tokens of text, that with the concept has four; six belong to the image."""
    image_x, image_y, base_y = decaying(6, 8), decaying(6, 4, seed=1), decaying(6, 4, seed=2)
    text = torch.full((4, 8), 9.0), torch.full((4, 4), 9.0)

    def sequence(image, words):
        return torch.cat([words, image] if from_end else [image, words])[None]

    group = GroupSketches(["layer"], 1, 1, from_end=from_end)
    group.receive("layer", range(1), sequence(image_x, text[0][:2]), sequence(base_y, text[1][:2]))
    group.receive("layer", range(1, 2), sequence(image_x, text[0]), sequence(image_y, text[1]))
    found = group.layers["layer"].responses[0].low_rank(4).dense().numpy()
    both_text = torch.zeros(2, 4)  # equal in both prompts, so that nothing is lacking there
    expected = reference.response(
        torch.cat([base_y, both_text]), torch.cat([image_y, both_text]), torch.cat([image_x, text[0][:2]])
    )
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_of_many_tokens_some_are_taken_from_both_prompts_alike(monkeypatch):
    monkeypatch.setattr(moments, "MOST_TOKENS", 16)
    moments.positions.cache_clear()
    x, y = decaying(2 * 100, 8).view(2, 100, 8), torch.stack([torch.arange(100.0), torch.arange(100.0) + 1])
    group = GroupSketches(["layer"], 1, 1, from_end=False)
    group.receive("layer", range(2), x, y[:, :, None])
    sketch = group.layers["layer"].responses[0]
    assert sketch.tokens == 16
    chosen = x[1][moments.positions(100, x.device)]
    np.testing.assert_allclose(sketch.low_rank(1).dense()[0], -chosen.double().mean(0), atol=1e-3)
    moments.positions.cache_clear()


def test_sources_follow_one_another():
    x = decaying(6 * 5, 8).view(6, 5, 8)
    sources = SourceMoments(["layer"], 2, 3)
    sources.receive("layer", range(4), x[:4])
    sources.receive("layer", range(4, 6), x[4:])
    for i in range(2):
        expected = reference.moment(x[3 * i : 3 * i + 3].flatten(0, 1))
        np.testing.assert_allclose(sources.layers["layer"][i].low_rank(8).dense(), expected, atol=1e-3)
