"""Generates images, each from its own seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import OutOfMemoryError
from ..models.families import guidance_arguments
from ..models.pipelines import get_denoiser, hidden_progress_bar
from ..settings import check_at_least_one


@dataclass(frozen=True)
class Drawing:
    """How images are generated."""

    num_inference_steps: int = 50
    """Denoising steps of every image."""
    guidance_scale: float | None = None
    """Classifier-free guidance scale, unless a prompt has its own; by default the pipeline's usual one."""
    batch_size: int = 16
    """Images generated at a time. Another size may change the rounding of an image's last bits."""

    def __post_init__(self) -> None:
        check_at_least_one(self, "num_inference_steps", "batch_size")


@dataclass(frozen=True)
class Request:
    """An image to generate.

    Attributes:
        prompt: text of the prompt.
        seed: seed of the noise.
        guidance_scale: guidance scale of this image. None takes that of the `Drawing`.
    """

    prompt: str
    seed: int
    guidance_scale: float | None = None


def batches(requests: Sequence[Request], drawing: Drawing) -> Iterator[range]:
    """Yields the indices of the requests in each batch: neighbours with the same guidance."""
    start = 0
    for i in range(1, len(requests) + 1):
        is_full = i - start == drawing.batch_size
        if i == len(requests) or is_full or requests[i].guidance_scale != requests[start].guidance_scale:
            yield range(start, i)
            start = i


def draw_batch(
    pipe: DiffusionPipeline,
    requests: Sequence[Request],
    drawing: Drawing,
    on_step: Callable[[], None] | None = None,
) -> list[Image.Image]:
    """Returns an image for each request.

    Args:
        pipe: the pipeline that generates.
        requests: what to generate. All have the same guidance.
        drawing: how to generate.
        on_step: called after each denoising step. An exception from it stops the pipeline.

    Raises:
        MemoryError: if the GPU's memory runs out.
    """
    own = requests[0].guidance_scale
    scale = drawing.guidance_scale if own is None else own
    options: dict[str, object] = {}
    if scale is not None:
        options |= guidance_arguments(get_denoiser(pipe), scale, len(requests))
    if on_step is not None:
        options["callback_on_step_end"] = _as_callback(on_step)
    try:
        images: list[Image.Image] = pipe(
            prompt=[request.prompt for request in requests],
            generator=[torch.Generator().manual_seed(request.seed) for request in requests],
            num_inference_steps=drawing.num_inference_steps,
            **options,
        ).images
        return images
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"Out of memory while generating {len(requests)} images at a time; give a smaller --batch-size. ({error})"
        ) from error


def _as_callback(on_step: Callable[[], None]) -> Callable[..., dict[str, Tensor]]:
    """Returns a diffusers callback that calls `on_step` and changes nothing."""

    def callback(_pipe: object, _step: int, _timestep: object, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        on_step()
        return tensors

    return callback


def generate_images(
    pipe: DiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    num_inference_steps: int = 50,
    guidance_scale: float = 7.5,
    batch_size: int = 16,
    description: str = "Generating",
    progress: bool = True,
) -> list[Image.Image]:
    """Returns one image for each prompt and seed, in order.

    Args:
        pipe: the pipeline that generates.
        prompts: n prompts.
        seeds: n seeds. Equal prompts and seeds give equal images in any batch, up to rounding.
        num_inference_steps: denoising steps of every image.
        guidance_scale: classifier-free guidance scale.
        batch_size: images generated at a time.
        description: text of the progress bar.
        progress: whether to show a progress bar.
    """
    drawing = Drawing(num_inference_steps, guidance_scale, batch_size)
    requests = [Request(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
    images: list[Image.Image] = []
    with (
        hidden_progress_bar(pipe),
        tqdm(total=len(prompts), desc=description, unit="image", disable=not progress) as bar,
    ):
        for batch in batches(requests, drawing):
            images += draw_batch(pipe, [requests[i] for i in batch], drawing)
            bar.update(len(batch))
    return images
