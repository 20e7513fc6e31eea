"""CLIP scores, Frechet distances and drift, against numbers worked by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fia.evaluation.clip_score import ClipScorer
from fia.evaluation.drift import perceptual_distances, pixel_distances
from fia.evaluation.frechet import Gaussian, frechet_distance
from fia.evaluation.network import ImageNetwork
from fia.testbed import load_clip
from fia.testbed.pretrained import FOLDER


def gaussian(mean: list[float], covariance: list[list[float]]) -> Gaussian:
    return Gaussian(np.array(mean), np.array(covariance))


def test_the_frechet_distance_worked_by_hand() -> None:
    # One dimension: (1 - 3)^2 + (2 - 5)^2 of means 1, 3 and deviations 2, 5.
    assert frechet_distance(gaussian([1.0], [[4.0]]), gaussian([3.0], [[25.0]])) == pytest.approx(13)
    # Two independent dimensions add up: (0 - 1)^2 + (1 - 2)^2 + (2 - 0)^2 + (3 - 3)^2.
    one, two = gaussian([0.0, 2.0], [[1.0, 0.0], [0.0, 9.0]]), gaussian([1.0, 0.0], [[4.0, 0.0], [0.0, 9.0]])
    assert frechet_distance(one, two) == pytest.approx(6)


def test_the_frechet_distance_is_a_distance() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 40, 4)) @ np.diag([1, 2, 0.1, 0])  # one direction is flat
    one, two = (gaussian(r.mean(axis=0), np.cov(r.T)) for r in rows[:2])
    assert frechet_distance(one, two) > 0
    assert frechet_distance(one, two) == pytest.approx(frechet_distance(two, one))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_a_gaussian_is_that_of_all_rows_together() -> None:
    rows = np.random.default_rng(0).normal(size=(70, 3))  # more than two batches of 32
    images = [Image.new("RGB", (1, 1), (i, 0, 0)) for i in range(70)]
    found = Gaussian.of(lambda batch: np.stack([rows[image.getpixel((0, 0))[0]] for image in batch]), images)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(rows.T), rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="at least 2 images on each side, not 1"):
        Gaussian.of(lambda batch: np.zeros((len(batch), 1)), images[:1])


def test_reference_statistics_of_other_tools(tmp_path: Path) -> None:
    np.savez(tmp_path / "stats.npz", mu=np.zeros(2, dtype=np.float32), sigma=np.eye(2))
    found = Gaussian.from_file(tmp_path / "stats.npz")
    assert frechet_distance(found, gaussian([3.0, 4.0], [[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(25)
    with pytest.raises(ValueError, match="2 and 1 wide, so the reference statistics come from another network"):
        frechet_distance(found, gaussian([0.0], [[1.0]]))
    np.savez(tmp_path / "other.npz", mean=np.zeros(2))
    with pytest.raises(ValueError, match=r"other\.npz holds no reference statistics; give an \.npz with mu and sigma"):
        Gaussian.from_file(tmp_path / "other.npz")
    np.savez(tmp_path / "code.npz", mu=np.array([object()]), sigma=np.eye(1))
    with pytest.raises(ValueError, match=r"code\.npz holds no reference statistics"):
        Gaussian.from_file(tmp_path / "code.npz")


def test_pixel_distances_worked_by_hand() -> None:
    black, grey = Image.new("RGB", (2, 2)), Image.new("RGB", (2, 2), (51, 51, 51))
    half = black.copy()
    half.paste((255, 255, 255), (0, 0, 1, 2))
    assert pixel_distances([black] * 3, [black, grey, half]) == [0, pytest.approx(0.2), pytest.approx(0.5**0.5)]


def test_perceptual_distances_worked_by_hand() -> None:
    # One stage of two channels and two places: features (1, 0) and (0, 2) against (3, 0) and (1, 0). The first place
    # points the same way; at the second the unit vectors are (0, 1) and (1, 0), 2 apart. The mean is 1.
    maps = {0: [[1.0, 0.0], [0.0, 2.0]], 1: [[3.0, 1.0], [0.0, 0.0]]}

    def stages(images: list[Image.Image]) -> list[torch.Tensor]:
        return [torch.tensor([maps[image.getpixel((0, 0))[0]] for image in images])[:, :, None]]

    one, two = (Image.new("RGB", (1, 1), (i, 0, 0)) for i in (0, 1))
    assert perceptual_distances(stages, [one, one], [one, two]) == [0, 1]


def test_a_network_sees_change_where_there_is_some(classifier: Path, images: list[Image.Image]) -> None:
    distances = perceptual_distances(ImageNetwork(str(classifier)).stages, images[:3], [images[1], *images[1:3]])
    assert distances[:1] + distances[2:] == [0, 0]  # equal images
    assert perceptual_distances(ImageNetwork(str(classifier)).stages, images[1:2], images[2:3])[0] > 0.01


def test_the_clip_score_is_that_of_transformers(images: list[Image.Image]) -> None:
    scorer = ClipScorer(str(FOLDER / "clip"))
    texts = ["a church in a forest", "a cat", "a church in a forest", "a dog", "a mug on a beach"]
    found = scorer.similarities(scorer.images(images), scorer.texts(texts))
    clip, tokenizer = load_clip()
    pixels = torch.tensor(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        output = clip(**tokens, pixel_values=pixels)
    expected = 100 * (output.image_embeds * output.text_embeds).sum(dim=1).clamp(min=0)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)  # float32 through two small networks
