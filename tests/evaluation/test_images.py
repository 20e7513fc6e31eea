"""Drawing into a folder: kept as it goes, and gone on with."""

from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from fia.evaluation import generate_images

PROMPTS = ["a cat", "a dog", "a church", "a car", "a bus"]
SEEDS = [3, 1, 4, 1, 5]


def draw(pipe: StableDiffusionPipeline, folder: Path | None) -> list[bytes]:
    images = generate_images(pipe, PROMPTS, SEEDS, num_inference_steps=2, batch_size=2, folder=folder, progress=False)
    return [image.tobytes() for image in images]


def test_a_folder_changes_no_image(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    expected = draw(pipe, None)
    assert draw(pipe, tmp_path) == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{i:05d}.png" for i in range(5)]
    assert draw(pipe, tmp_path) == expected  # read back


def test_only_missing_batches_are_drawn(
    pipe: StableDiffusionPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = draw(pipe, tmp_path)
    (tmp_path / "00002.png").unlink()
    drawn: list[str] = []
    whole = StableDiffusionPipeline.__call__
    monkeypatch.setattr(
        StableDiffusionPipeline,
        "__call__",
        lambda self, prompts, **rest: drawn.extend(prompts) or whole(self, prompts, **rest),
    )
    assert draw(pipe, tmp_path) == expected
    assert drawn == ["a church", "a car"]


def test_every_seed_counts_for_itself(pipe: StableDiffusionPipeline) -> None:
    images = draw(pipe, None)
    other = generate_images(pipe, PROMPTS[2:4], SEEDS[2:4], num_inference_steps=2, batch_size=2, progress=False)
    assert [image.tobytes() for image in other] == images[2:4]
