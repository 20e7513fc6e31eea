"""Runs the first denoising steps of a pipeline, all prompts in lockstep, in batches that fit the memory.

We call the pipeline once, with every prompt. The denoiser gets the rows of each step a few at a time. After the last
step that we need, our own exception leaves the pipeline before it decodes anything. Only the conditional half of the
guidance batch counts for the statistics, so the other half runs without an observer. If the other half is a separate
pass, it comes second at its timestep, and only the first pass is observed.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import BoundArguments, signature
from threading import get_ident
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from ..errors import UnsupportedError
from ..models.families import Family, family_of, guidance_arguments
from ..models.pipelines import call_parameters
from .aside import alone
from .observe import Observer


class _StepsDoneError(Exception):
    """Leaves the pipeline after the last step that we need."""


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
    call: Mapping[str, Any] | None = None,
    every_row: bool = False,
) -> None:
    """Runs `first_steps` of `num_inference_steps` for all prompts, and tells the observer which rows it sees.

    A step is a timestep. If a scheduler evaluates the same timestep twice, the second time is not observed.

    Args:
        pipe: the pipeline. It stays as it was (`aside.alone`). Modules that torch.compile compiled run uncompiled
            meanwhile, because compiled code skips our hooks.
        denoiser: the denoiser of the pipeline.
        prompts: P prompts.
        seeds: P seeds of the initial noise (and of the scheduler's noise, if it adds any).
        observer: its `prompts` follow the conditional rows that are in the denoiser.
        first_steps: number of steps to run.
        num_inference_steps: number of steps of a whole generation.
        guidance_scale: scale of the guidance.
        batch_size: rows in the denoiser at a time.
        on_step: called after each step.
        call: further arguments of the pipeline.
        every_row: whether the unconditional rows are observed too, as rows of the same prompts, and every evaluation of
            a timestep is a step. The guidance must come in one batch.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    options = guidance_arguments(denoiser, guidance_scale, len(prompts))
    if "pag_scale" in call_parameters(pipe):
        options["pag_scale"] = 0.0  # no perturbed attention guidance, which needs rows of its own
    with (
        alone(pipe, denoiser, seeds) as own,
        _sliced_forward(own, denoiser, len(prompts), observer, first_steps, batch_size, on_step, every_row),
        _uncompiled(),
        torch.no_grad(),
    ):
        try:
            own(
                prompt=list(prompts),  # by name: some pipelines take an image first
                generator=generators,
                num_inference_steps=num_inference_steps,
                output_type="latent",
                **options,
                **(call or {}),
            )
        except _StepsDoneError:
            pass
        finally:
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
    every_row: bool,
) -> Iterator[None]:
    """Replaces the denoiser's forward by one that runs the rows in slices and counts the steps."""
    whole_forward, was_own = denoiser.forward, "forward" in vars(denoiser)
    parameters, family = signature(type(denoiser).forward), family_of(denoiser)
    timesteps_seen: list[float] = []
    thread = get_ident()

    def forward(*args: Any, **kwargs: Any) -> Any:
        if get_ident() != thread:  # another thread generates images with the same denoiser
            return whole_forward(*args, **kwargs)
        call = parameters.bind(denoiser, *args, **kwargs)
        now = _timestep(pipe, call)
        if len(timesteps_seen) == first_steps:
            raise _StepsDoneError
        is_repeated = timesteps_seen[-1:] == [now] and not every_row
        if not is_repeated:
            timesteps_seen.append(now)
        rows = _count_rows(pipe, call, number)
        conditional_from = 0 if family.guidance == "conditional first" else rows - number
        lengths = None if family.text_lengths is None else family.text_lengths(call.arguments)
        parts = []
        for start, stop in _slices(rows, number, batch_size, lengths):
            first = start % number if every_row else start - conditional_from
            is_observed = 0 <= first < number and not is_repeated
            observer.prompts = range(first, first + stop - start) if is_observed else None
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
    """Makes compiled modules run uncompiled. If the compiler was never loaded, nothing is compiled."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _timestep(pipe: DiffusionPipeline, call: BoundArguments) -> float:
    """Returns the timestep of a call, from the pipeline if it stores the timestep.

    Some pipelines round the timestep to the model's type for the denoiser. In bfloat16, neighbours become equal.
    """
    now = getattr(pipe, "_current_timestep", None)
    if now is None:
        now = next(call.arguments[name] for name in ("timestep", "t") if name in call.arguments)
    return float(torch.as_tensor(now).flatten()[0])


def _count_rows(pipe: DiffusionPipeline, call: BoundArguments, number: int) -> int:
    """Returns the number of rows of the latents, the first argument of every denoiser after the denoiser itself.

    Raises:
        TypeError: if there are not one or two rows for each prompt.
    """
    denoiser, latents, *_ = call.arguments.values()
    if len(latents) not in (number, 2 * number):
        raise UnsupportedError(
            f"{type(pipe).__name__} gave {type(denoiser).__name__} {len(latents)} rows for {number} prompts, not one "
            "or two for each. This pipeline is not supported; use one that docs/families.md lists."
        )
    return len(latents)


def _slices(rows: int, number: int, batch_size: int, lengths: list[int] | None) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of slices of at most `batch_size` rows that never cross a half of the guidance batch.

    Args:
        rows: number of rows.
        number: number of prompts, which is the size of a half.
        batch_size: the largest size of a slice.
        lengths: text length of each row; the rows of a slice share one length. None if the length does not matter.
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
    """Returns a call with only the rows from start to stop. If there is a length, cuts their texts to it."""
    taken = {
        name: value if name in family.shared else _take(value, rows, start, stop)
        for name, value in call.arguments.items()
    }
    if length is not None:
        taken |= {name: taken[name][:, :length] for name in family.padded}
    return BoundArguments(call.signature, taken)


def _take(value: Any, rows: int, start: int, stop: int) -> Any:
    """Returns the rows from start to stop of every tensor and list with `rows` rows, also inside tuples and dicts."""
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
    """Joins the denoiser's outputs: tuples or dataclasses that hold one tensor, or one list of tensors."""
    outputs = [part[0] if isinstance(part, tuple) else part.sample for part in parts]
    joined = torch.cat(outputs) if isinstance(outputs[0], Tensor) else [row for output in outputs for row in output]
    return (joined,) if isinstance(parts[0], tuple) else type(parts[0])(sample=joined)
