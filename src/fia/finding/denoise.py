"""Runs the first denoising steps of a pipeline, all prompts in lockstep, in batches that fit the memory.

The pipeline is called once, with every prompt. Its denoiser is given the rows of each step a few at a time, and after
the last step that is needed the pipeline is left by an exception of our own, before it decodes anything. Statistics
belong to the conditional half of the guidance batch, so the rows of the other half are run without an observer. Where
the other half is a pass of its own, it comes second at its timestep, and only the first is observed.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import BoundArguments, signature
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from ..errors import UnsupportedError
from ..models.families import Family, family_of, guidance_arguments
from ..models.pipelines import hidden_progress_bar
from .observe import Observer


class _StepsDoneError(Exception):
    """Leaves the pipeline once the steps that are needed have run."""


def run_first_steps(
    pipe: DiffusionPipeline,
    denoiser: nn.Module,
    prompts: Sequence[str],
    seeds: Sequence[int],
    observer: Observer,
    *,
    first_steps: int,
    num_inference_steps: int,
    guidance_scale: float,
    batch_size: int,
    on_step: Callable[[], None],
) -> None:
    """Runs `first_steps` of `num_inference_steps` for all prompts, and tells the observer which rows it sees.

    A step is a timestep: where a scheduler evaluates the same timestep twice, the second time is not observed.

    Args:
        pipe: the pipeline. Its weights, hooks and progress bar are left as they were. What torch.compile made of it is
            not used meanwhile, for compiled code runs past our hooks.
        denoiser: of the pipeline.
        prompts: P prompts.
        seeds: P seeds of the initial noise (and of the scheduler's, where it draws any).
        observer: its `prompts` follow the conditional rows that are in the denoiser.
        batch_size: rows in the denoiser at a time.
        on_step: called after each step.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    guidance = guidance_arguments(denoiser, guidance_scale, len(prompts))
    with (
        _sliced_forward(pipe, denoiser, len(prompts), observer, first_steps, batch_size, on_step),
        hidden_progress_bar(pipe),
        _uncompiled(),
        torch.no_grad(),
    ):
        try:
            pipe(
                prompt=list(prompts),  # by name: some pipelines take an image first
                generator=generators,
                num_inference_steps=num_inference_steps,
                output_type="latent",
                **guidance,
            )
        except _StepsDoneError:
            pass
        finally:
            if hasattr(pipe, "_current_timestep"):
                pipe._current_timestep = None  # as pipelines that have it leave it
            pipe.maybe_free_model_hooks()


@contextmanager
def _sliced_forward(
    pipe: DiffusionPipeline,
    denoiser: nn.Module,
    number: int,
    observer: Observer,
    first_steps: int,
    batch_size: int,
    on_step: Callable[[], None],
) -> Iterator[None]:
    """Replaces the denoiser's forward by one that goes through its rows in slices and counts the steps."""
    whole_forward, was_own = denoiser.forward, "forward" in vars(denoiser)
    parameters, family = signature(type(denoiser).forward), family_of(denoiser)
    timesteps_seen: list[float] = []

    def forward(*args: Any, **kwargs: Any) -> Any:
        call = parameters.bind(denoiser, *args, **kwargs)
        now = _timestep(pipe, call)
        if len(timesteps_seen) == first_steps:
            raise _StepsDoneError
        is_repeated = timesteps_seen[-1:] == [now]
        if not is_repeated:
            timesteps_seen.append(now)
        rows = _count_rows(pipe, call, number)
        conditional_from = 0 if family.guidance == "conditional first" else rows - number
        lengths = None if family.text_lengths is None else family.text_lengths(call.arguments)
        parts = []
        for start, stop in _slices(rows, number, batch_size, lengths):
            first = start - conditional_from
            is_conditional = 0 <= first < number
            observer.prompts = range(first, first + stop - start) if is_conditional and not is_repeated else None
            length = None if lengths is None else lengths[start]
            sliced = _slice_call(call, family, rows, start, stop, length)
            parts.append(whole_forward(*sliced.args[1:], **sliced.kwargs))
        observer.prompts = None
        if not is_repeated:
            on_step()
        return _join(parts)

    denoiser.forward = forward
    try:
        yield
    finally:
        observer.prompts = None
        if was_own:
            denoiser.forward = whole_forward
        else:
            del denoiser.forward


def _uncompiled() -> AbstractContextManager[Any]:
    """Has compiled modules run as they were written. Nothing is compiled where the compiler was never loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _timestep(pipe: DiffusionPipeline, call: BoundArguments) -> float:
    """Returns the timestep of a call, as the pipeline knows it where it says so.

    Some pipelines round it to the model's type on the way to the denoiser, and in bfloat16 neighbours become the same.
    """
    now = getattr(pipe, "_current_timestep", None)
    if now is None:
        now = next(call.arguments[name] for name in ("timestep", "t") if name in call.arguments)
    return float(torch.as_tensor(now).flatten()[0])


def _count_rows(pipe: DiffusionPipeline, call: BoundArguments, number: int) -> int:
    """Returns the number of rows of the latents, which come first in every denoiser, after the denoiser itself."""
    denoiser, latents, *_ = call.arguments.values()
    if len(latents) not in (number, 2 * number):
        raise UnsupportedError(
            f"{type(pipe).__name__} gave {type(denoiser).__name__} {len(latents)} rows for {number} prompts, not one "
            "or two for each. This pipeline is not supported yet."
        )
    return len(latents)


def _slices(rows: int, number: int, batch_size: int, lengths: list[int] | None) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of slices of at most `batch_size` rows that never cross a half of the guidance batch.

    Args:
        lengths: of the rows' texts; the rows of a slice have the same one. None where it does not matter.
    """
    start = 0
    for stop in range(1, rows + 1):
        is_full = stop - start == batch_size or stop % number == 0
        if is_full or (lengths is not None and lengths[stop] != lengths[start]):
            yield start, stop
            start = stop


def _slice_call(
    call: BoundArguments, family: Family, rows: int, start: int, stop: int, length: int | None
) -> BoundArguments:
    """Returns a call with rows start to stop alone, whose texts are cut to their length where there is one."""
    taken = {
        name: value if name in family.shared else _take(value, rows, start, stop)
        for name, value in call.arguments.items()
    }
    if length is not None:
        taken |= {name: taken[name][:, :length] for name in family.padded}
    return BoundArguments(call.signature, taken)


def _take(value: Any, rows: int, start: int, stop: int) -> Any:
    """Returns rows start to stop of every tensor and list that has `rows` of them, also within tuples and dicts."""
    if isinstance(value, Tensor):
        return value[start:stop] if value.ndim > 0 and len(value) == rows else value
    if isinstance(value, list) and len(value) == rows:
        return value[start:stop]
    if isinstance(value, tuple | list):
        return type(value)(_take(item, rows, start, stop) for item in value)
    if isinstance(value, dict):
        return {key: _take(item, rows, start, stop) for key, item in value.items()}
    return value


def _join(parts: list[Any]) -> Any:
    """Puts the denoiser's outputs together, which are tuples or dataclasses of one tensor, or list of tensors."""
    outputs = [part[0] if isinstance(part, tuple) else part.sample for part in parts]
    joined = torch.cat(outputs) if isinstance(outputs[0], Tensor) else [row for output in outputs for row in output]
    return (joined,) if isinstance(parts[0], tuple) else type(parts[0])(sample=joined)
