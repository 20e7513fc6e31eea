"""The artists: each changes every picture, in a way of its own, and never leaves [0, 1]."""

import itertools

import pytest
import torch

from fia.testbed.scenes import Scenes
from fia.testbed.styles import STYLES, blur, edges
from fia.testbed.world import NO_STYLE


@pytest.fixture(scope="module")
def natural(scenes: Scenes) -> torch.Tensor:
    styles = torch.full((16,), NO_STYLE)
    return (scenes.sample(16, torch.Generator().manual_seed(0), styles=styles).images + 1) / 2


@pytest.mark.parametrize("name", STYLES)
def test_a_style_changes_every_picture_and_stays_in_range(name: str, natural: torch.Tensor) -> None:
    drawn = STYLES[name](natural)
    assert drawn.shape == natural.shape
    assert drawn.min() >= -1e-6  # rounding of a blend
    assert drawn.max() <= 1 + 1e-6
    assert (drawn - natural).abs().mean(dim=(1, 2, 3)).min() > 0.1
    # Each picture on its own; convolutions of other batch sizes may round otherwise.
    assert torch.allclose(drawn[:4], STYLES[name](natural[:4]), atol=1e-5)


def test_styles_differ_from_each_other_more_than_pictures_do(natural: torch.Tensor) -> None:
    means = [draw(natural).mean(dim=(2, 3)) for draw in STYLES.values()]  # the mean colour of each picture
    within = max((mean - mean.mean(0)).norm(dim=1).mean() for mean in means)
    between = min((a.mean(0) - b.mean(0)).norm() for a, b in itertools.combinations(means, 2))
    assert between > 2 * within


def test_blur_keeps_the_mean_of_a_flat_picture_and_spreads_a_point() -> None:
    flat = torch.full((1, 4, 64, 64), 0.3)
    assert torch.allclose(blur(flat, 3.0), flat, atol=1e-5)  # a kernel sums to 1 up to float32 rounding
    point = torch.zeros(1, 4, 64, 64)
    point[:, :, 32, 32] = 1
    spread = blur(point, 2.0)
    assert spread.max() < 0.05
    assert abs(spread[0, 0].sum().item() - 1) < 1e-4


def test_edges_are_where_the_colour_changes() -> None:
    halves = torch.zeros(1, 3, 64, 64)
    halves[..., 32:] = 1
    found = edges(halves)[0, 0]
    assert found[:, 31:33].min() > 0.5
    assert found[:, :28].max() == 0
    assert found[:, 36:].max() == 0
