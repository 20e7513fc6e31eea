"""Drawing into a folder: kept as it goes, gone on with, and shared."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from fia.drawing import images
from fia.drawing.gallery import draw_gallery
from fia.drawing.images import Drawing, Request, batches, generate_images
from fia.edits.weight_edit import WeightEdit
from fia.masks.pruning import prune, restore
from fia.models.layers import find_layers, maskable_layers

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
    expected = generate_images(pipe, prompts, seeds, num_inference_steps=2, batch_size=2, progress=False)
    assert draw(pipe, tmp_path)[:3] == [image.tobytes() for image in expected]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{i:05d}.png" for i in range(5)]


def test_a_prompts_own_guidance_counts(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    alone = generate_images(pipe, ["a car", "a bus"], [1, 5], num_inference_steps=2, guidance_scale=3.0, progress=False)
    usual = generate_images(pipe, ["a car", "a bus"], [1, 5], num_inference_steps=2, progress=False)
    drawn = draw(pipe, tmp_path)[3:]
    assert drawn == [image.tobytes() for image in alone]
    assert drawn != [image.tobytes() for image in usual]


def test_autocast_rounds_the_image_and_leaves_the_weights(pipe: StableDiffusionPipeline) -> None:
    weights = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    exact, rounded = (
        np.asarray(generate_images(pipe, ["a cat"], [3], num_inference_steps=2, autocast=autocast, progress=False)[0])
        for autocast in (False, True)
    )
    assert not np.array_equal(exact, rounded)
    assert np.abs(exact.astype(float) - rounded).mean() < 5  # of 255
    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert all(torch.equal(weight, weights[name]) for name, weight in pipe.unet.state_dict().items())


def test_an_autocast_of_the_caller_is_left_on_and_sees_a_mask(pipe: StableDiffusionPipeline) -> None:
    def draw() -> np.ndarray:
        return np.asarray(generate_images(pipe, ["a cat"], [3], num_inference_steps=2, progress=False)[0]).astype(float)

    exact = draw()
    halves = {f"{name}.weight": layer.weight / 2 for name, layer in maskable_layers(pipe.unet).items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Drawing().precision(pipe).__enter__() is None
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        before = draw()
        with WeightEdit(halves).applied(pipe):
            edited = draw()
        prune(pipe.unet, maskable_layers(pipe.unet), {name: torch.arange(64) for name in find_layers(pipe.unet)}, "all")
        pruned = draw()
        restore(pipe.unet)
        after = draw()
    assert not np.array_equal(before, exact)
    assert not np.array_equal(before, edited)
    assert not np.array_equal(before, pruned)
    assert np.array_equal(before, after)


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


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize(
    ("prompts", "seeds", "error", "message"),
    [
        ("a cat", [0], TypeError, "prompts is one text, 'a cat'; give a list"),
        (["a cat", "a dog"], [0], ValueError, "There are 2 prompts but 1 seeds"),
    ],
)
def test_prompts_and_seeds_go_together(prompts, seeds, error, message, pipe) -> None:
    with pytest.raises(error, match=message):
        generate_images(pipe, prompts, seeds)


@pytest.mark.parametrize(("own", "expected"), [("testbed", 4.0), ("", None)])
def test_the_guidance_is_the_one_recommended_for_the_model(own, expected, pipe, monkeypatch) -> None:
    asked: list[float | None] = []
    monkeypatch.setattr(images, "embedded_name", lambda _: own)
    monkeypatch.setattr(
        images,
        "draw_batch",
        lambda _pipe, _requests, drawing: asked.append(drawing.guidance_scale) or [Image.new("RGB", (8, 8))],
    )
    generate_images(pipe, ["a cat"], [0], progress=False)
    assert asked == [expected]


def test_an_image_is_timed_by_its_second_step(pipe) -> None:
    steps: list[int] = []
    pipe.unet.register_forward_hook(lambda *_: steps.append(1))
    for number in (1, 9):
        assert images.seconds_per_image(pipe, REQUESTS, Drawing(number, batch_size=2)) > 0
    assert len(steps) == 1 + 2
    assert vars(pipe).get("_progress_bar_config", {}) == {}
