"""Drawing into a folder: kept as it goes, gone on with, and shared."""

from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from fia.drawing.gallery import draw_gallery
from fia.drawing.images import Drawing, Request, batches, generate_images

REQUESTS = [
    *(Request("a cat", 3), Request("a dog", 1), Request("a church", 4)),
    *(Request("a car", 1, guidance_scale=3.0), Request("a bus", 5, guidance_scale=3.0)),
]
DRAWING = Drawing(num_inference_steps=2, batch_size=2)


def draw(pipe: StableDiffusionPipeline, folder: Path) -> list[bytes]:
    return [image.tobytes() for image in draw_gallery(pipe, REQUESTS, folder, DRAWING)]


def test_batches_are_neighbours_with_the_same_guidance() -> None:
    assert list(batches(REQUESTS, DRAWING)) == [range(2), range(2, 3), range(3, 5)]
    assert list(batches(REQUESTS, Drawing(batch_size=9))) == [range(3), range(3, 5)]
    assert list(batches([], DRAWING)) == []


def test_a_gallery_holds_what_is_drawn_in_memory(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    prompts, seeds = [request.prompt for request in REQUESTS[:3]], [request.seed for request in REQUESTS[:3]]
    images = generate_images(pipe, prompts, seeds, num_inference_steps=2, batch_size=2, progress=False)
    assert draw(pipe, tmp_path)[:3] == [image.tobytes() for image in images]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{i:05d}.png" for i in range(5)]


def test_a_prompts_own_guidance_counts(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    alone = generate_images(pipe, ["a car", "a bus"], [1, 5], num_inference_steps=2, guidance_scale=3.0, progress=False)
    usual = generate_images(pipe, ["a car", "a bus"], [1, 5], num_inference_steps=2, progress=False)
    drawn = draw(pipe, tmp_path)[3:]
    assert drawn == [image.tobytes() for image in alone]
    assert drawn != [image.tobytes() for image in usual]


def test_only_missing_batches_are_drawn(
    pipe: StableDiffusionPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = draw(pipe, tmp_path)
    (tmp_path / "00001.png").unlink()
    drawn: list[str] = []
    whole = StableDiffusionPipeline.__call__
    monkeypatch.setattr(
        StableDiffusionPipeline,
        "__call__",
        lambda self, prompt, **rest: drawn.extend(prompt) or whole(self, prompt, **rest),
    )
    assert draw(pipe, tmp_path) == expected
    assert drawn == ["a cat", "a dog"]


def test_a_gallery_can_be_cut(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    gallery = draw_gallery(pipe, REQUESTS, tmp_path, DRAWING)
    assert [image.tobytes() for image in gallery[1:3]] == [gallery[1].tobytes(), gallery[2].tobytes()]
    assert len(gallery[1:3]) == 2


@pytest.mark.parametrize("field", ["num_inference_steps", "batch_size"])
def test_numbers_that_make_no_sense_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}=0; it must be at least 1"):
        Drawing(**{field: 0})
