"""Generates images, each from its own seed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import ArgumentError, OutOfMemoryError, UsageError
from ..models.families import guidance_arguments
from ..models.half_precision import warn_if_slow
from ..models.pipelines import call_parameters, embedded_name, get_denoiser, hidden_progress_bar
from ..recommended import GUIDANCE_SCALES
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
    autocast: bool = False
    """Multiply in bfloat16, with the weights as they are (torch.autocast). Twice as fast on a processor with AMX,
    and many times slower on one without instructions for bfloat16."""

    def __post_init__(self) -> None:
        check_at_least_one(self, "num_inference_steps", "batch_size")

    def precision(self, pipe: DiffusionPipeline) -> AbstractContextManager[object]:
        """Returns the context in which the pipeline generates. Without `autocast`, it changes nothing."""
        if not self.autocast:
            return nullcontext()
        device = pipe._execution_device
        warn_if_slow(device, torch.bfloat16, "Leave out autocast (--autocast).")
        return torch.autocast(device.type, torch.bfloat16)


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
    call: Mapping[str, Any] | None = None,
) -> list[Image.Image]:
    """Returns an image for each request.

    Args:
        pipe: the pipeline that generates.
        requests: what to generate. All have the same guidance.
        drawing: how to generate.
        on_step: called after each denoising step. An exception from it stops the pipeline.
        call: further arguments of the pipeline, such as height and width.

    Raises:
        MemoryError: if the GPU's memory runs out.
    """
    own = requests[0].guidance_scale
    scale = drawing.guidance_scale if own is None else own
    options: dict[str, object] = dict(call or {})
    if scale is not None:
        options |= guidance_arguments(get_denoiser(pipe), scale, len(requests))
    if on_step is not None:
        options["callback_on_step_end"] = _as_callback(on_step)
    try:
        with drawing.precision(pipe):
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


class _TimedError(Exception):
    """Leaves the pipeline after the steps that were timed."""


def seconds_per_image(pipe: DiffusionPipeline, requests: Sequence[Request], drawing: Drawing) -> float | None:
    """Returns about how long an image takes, from the second step of the first batch; None if that cannot be timed.

    The first step warms up, and decoding is left out.

    Args:
        pipe: the pipeline.
        requests: the images to generate, at least one.
        drawing: how to generate them.
    """
    if "callback_on_step_end" not in call_parameters(pipe):
        return None
    first, device = next(batches(requests, drawing)), pipe._execution_device
    times = [time.perf_counter()]

    def on_step() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter())
        if len(times) == 3:
            raise _TimedError

    with hidden_progress_bar(pipe):
        try:
            draw_batch(pipe, [requests[i] for i in first], drawing, on_step)
        except _TimedError:
            pipe.maybe_free_model_hooks()
    return (times[-1] - times[-2]) * drawing.num_inference_steps / len(first)


def generate_images(
    pipe: DiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    num_inference_steps: int = 50,
    guidance_scale: float | None = None,
    batch_size: int = 16,
    autocast: bool = False,
    description: str = "Generating",
    progress: bool = True,
) -> list[Image.Image]:
    """Returns one image for each prompt and seed, in order.

    Args:
        pipe: the pipeline that generates.
        prompts: n prompts.
        seeds: n seeds. Equal prompts and seeds give equal images in any batch, up to rounding.
        num_inference_steps: denoising steps of every image.
        guidance_scale: classifier-free guidance scale. None takes the one recommended for the model, or else the
            pipeline's usual one.
        batch_size: images generated at a time.
        autocast: whether to multiply in bfloat16, with the weights as they are (`Drawing.autocast`).
        description: text of the progress bar.
        progress: whether to show a progress bar.

    Raises:
        TypeError: if the prompts are one text.
        ValueError: if there are not as many seeds as prompts.
    """
    if isinstance(prompts, str):
        raise ArgumentError(f"prompts is one text, {prompts!r}; give a list of prompts.")
    if len(prompts) != len(seeds):
        raise UsageError(f"There are {len(prompts)} prompts but {len(seeds)} seeds; give one seed for each prompt.")
    if guidance_scale is None:
        guidance_scale = GUIDANCE_SCALES.get(embedded_name(pipe))
    drawing = Drawing(num_inference_steps, guidance_scale, batch_size, autocast)
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
