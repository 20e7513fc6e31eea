"""Runs the first denoising steps of a pipeline, all prompts in lockstep, in batches that fit the memory.

The pipeline is called once, with every prompt. Its denoiser is given the rows of each step a few at a time, and after
the last step that is needed the pipeline is left by an exception of our own, before it decodes anything. Statistics
belong to the conditional half of the guidance batch, so the rows of the other half are run without an observer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from .layers import get_denoiser


class Position:
    """Where the run is: which prompts the rows now in the denoiser belong to.

    Attributes:
        prompts: indices of the prompts whose conditional rows are being computed, or None where nothing is observed.
    """

    def __init__(self) -> None:
        self.prompts: range | None = None


class _StepsDoneError(Exception):
    """Leaves the pipeline once the steps that are needed have run."""


def run_first_steps(
    pipe: DiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    position: Position,
    *,
    first_steps: int,
    num_inference_steps: int,
    guidance_scale: float,
    batch_size: int,
    on_step: Callable[[], None],
) -> None:
    """Runs `first_steps` of `num_inference_steps` for all prompts; `position` follows.

    A step is a timestep: where a scheduler evaluates the same timestep twice, the second time is not observed.

    Args:
        pipe: whose denoiser is a UNet2DConditionModel. Its weights, hooks and progress bar are left as they were.
        prompts: P prompts.
        seeds: P seeds of the initial noise (and of the scheduler's, where it draws any).
        position: says to hooks on the denoiser's layers which rows they see.
        batch_size: rows in the denoiser at a time.
        on_step: called after each step.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    with (
        _sliced_forward(pipe, len(prompts), position, first_steps, batch_size, on_step),
        hidden_progress_bar(pipe),
        torch.no_grad(),
    ):
        try:
            pipe(
                list(prompts),
                generator=generators,
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
                output_type="latent",
            )
        except _StepsDoneError:
            pass
        finally:
            pipe.maybe_free_model_hooks()


@contextmanager
def _sliced_forward(
    pipe: DiffusionPipeline,
    number: int,
    position: Position,
    first_steps: int,
    batch_size: int,
    on_step: Callable[[], None],
) -> Iterator[None]:
    """Replaces the denoiser's forward by one that goes through its rows in slices and counts the steps."""
    denoiser = get_denoiser(pipe)
    whole_forward, was_own = denoiser.forward, "forward" in vars(denoiser)
    timesteps_seen: list[float] = []

    def forward(sample: Tensor, timestep: Tensor | float, *args: Any, **kwargs: Any) -> Any:
        now = float(timestep)
        if len(timesteps_seen) == first_steps:
            raise _StepsDoneError
        is_repeated = timesteps_seen[-1:] == [now]
        if not is_repeated:
            timesteps_seen.append(now)
        rows = len(sample)
        if rows not in (number, 2 * number):
            raise TypeError(
                f"{type(pipe).__name__} gave {type(denoiser).__name__} {rows} rows for {number} prompts, not one or "
                "two for each. This pipeline is not supported yet."
            )
        parts = []
        for start, stop in _slices(rows, number, batch_size):
            conditional = start >= rows - number  # guidance batches are [unconditional, conditional]
            first = start - (rows - number)
            position.prompts = range(first, first + stop - start) if conditional and not is_repeated else None
            sliced = _take((sample, timestep, args, kwargs), rows, start, stop)
            parts.append(whole_forward(sliced[0], sliced[1], *sliced[2], **sliced[3]))
        position.prompts = None
        if not is_repeated:
            on_step()
        return _join(parts)

    denoiser.forward = forward
    try:
        yield
    finally:
        position.prompts = None
        if was_own:
            denoiser.forward = whole_forward
        else:
            del denoiser.forward


@contextmanager
def hidden_progress_bar(pipe: DiffusionPipeline) -> Iterator[None]:
    """Hides the pipeline's own progress bar for a while."""
    before = getattr(pipe, "_progress_bar_config", None)
    pipe.set_progress_bar_config(disable=True)
    try:
        yield
    finally:
        if before is None:
            del pipe._progress_bar_config
        else:
            pipe._progress_bar_config = before


def _slices(rows: int, number: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of slices of at most `batch_size` rows that never cross a half of the guidance batch."""
    for half in range(0, rows, number):
        for start in range(half, half + number, batch_size):
            yield start, min(start + batch_size, half + number)


def _take(value: Any, rows: int, start: int, stop: int) -> Any:
    """Returns rows start to stop of every tensor in a nest of tuples, lists and dicts that has `rows` of them."""
    if isinstance(value, Tensor):
        return value[start:stop] if value.ndim > 0 and len(value) == rows else value
    if isinstance(value, tuple | list):
        return type(value)(_take(item, rows, start, stop) for item in value)
    if isinstance(value, dict):
        return {key: _take(item, rows, start, stop) for key, item in value.items()}
    return value


def _join(parts: list[Any]) -> Any:
    """Concatenates the denoiser's outputs, which are tuples or dataclasses of one tensor."""
    if isinstance(parts[0], tuple):
        return (torch.cat([part[0] for part in parts]),)
    return type(parts[0])(sample=torch.cat([part.sample for part in parts]))
