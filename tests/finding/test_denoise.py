"""Running the first steps: which rows are seen when, how many, in which batches, and what is left behind."""

from contextlib import nullcontext
from dataclasses import dataclass

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from diffusers import (
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
)
from torch import Tensor

from fia.finding.denoise import run_first_steps
from fia.finding.observe import Observer
from fia.finding.saliency import connection_saliency

PROMPTS = ["a church", "a beach", "a forest"]
SEEDS = [3, 4, 5]
REPEATING = pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        (PNDMScheduler, {"skip_prk_steps": True}),
        (PNDMScheduler, {"skip_prk_steps": False}),
        (HeunDiscreteScheduler, {}),
    ],
)


@dataclass
class Call:
    """One evaluation of the denoiser."""

    prompts: range | None
    sample: Tensor
    timestep: float


class CountingHook(ModelHook):
    """Counts the forwards of the module that it is hooked to."""

    calls = 0

    def pre_forward(self, module, *args, **kwargs):
        self.calls += 1
        return super().pre_forward(module, *args, **kwargs)


def run(pipe, prompts=PROMPTS, seeds=SEEDS, on_step=lambda: None, **options):
    """Runs the first steps and returns every evaluation of the denoiser, however it was sliced."""
    observer, calls, timesteps = Observer({}, connection_saliency, lambda *_: None), [], []
    handles = [
        pipe.unet.time_proj.register_forward_pre_hook(lambda _, args: timesteps.append(float(args[0][0]))),
        pipe.unet.conv_in.register_forward_pre_hook(
            lambda _, args: calls.append(Call(observer.prompts, args[0].clone(), timesteps[-1]))
        ),
    ]
    defaults = {"first_steps": 2, "num_inference_steps": 5, "guidance_scale": 7.5, "batch_size": 16}
    try:
        run_first_steps(pipe, pipe.unet, prompts, seeds, observer, on_step=on_step, **(defaults | options))
    finally:
        for handle in handles:
            handle.remove()
        assert observer.prompts is None
    return calls


def latents_by_step(calls):
    """Returns the conditional latents at each timestep, all prompts together."""
    steps = {}
    for call in calls:
        if call.prompts is not None:
            steps.setdefault(call.timestep, []).append(call.sample)
    return [torch.cat(parts) for parts in steps.values()]


def test_only_the_steps_that_are_needed_are_evaluated_at_the_timesteps_of_a_whole_run(pipe):
    steps = []
    calls = run(pipe, on_step=lambda: steps.append(None), first_steps=3, num_inference_steps=8, guidance_scale=1)
    pipe.scheduler.set_timesteps(8)
    assert [call.timestep for call in calls] == pipe.scheduler.timesteps[:3].tolist()
    assert len(steps) == 3


def test_nothing_is_decoded_even_when_all_steps_are_needed(pipe, monkeypatch):
    monkeypatch.setattr(pipe.vae, "decode", None)
    calls = run(pipe, first_steps=4, num_inference_steps=4, guidance_scale=1)
    assert len(calls) == 4


def test_the_conditional_half_is_observed_in_slices_and_the_other_is_not(pipe):
    calls = run(pipe, first_steps=1, batch_size=2)
    assert [(call.prompts, len(call.sample)) for call in calls] == [
        *((None, 2), (None, 1)),
        *((range(0, 2), 2), (range(2, 3), 1)),
    ]


def test_a_large_batch_holds_one_half_of_the_guidance_batch(pipe):
    calls = run(pipe, first_steps=1, batch_size=100)
    assert [(call.prompts, len(call.sample)) for call in calls] == [(None, 3), (range(0, 3), 3)]


def test_without_guidance_every_row_is_observed(pipe):
    calls = run(pipe, first_steps=1, batch_size=2, guidance_scale=1)
    assert [(call.prompts, len(call.sample)) for call in calls] == [(range(0, 2), 2), (range(2, 3), 1)]


def test_a_step_ends_after_all_of_its_rows(pipe):
    rows, seen = [], []
    handle = pipe.unet.conv_in.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    run(pipe, on_step=lambda: seen.append(sum(rows)), first_steps=2, batch_size=2)
    handle.remove()
    assert seen == [6, 12]


@pytest.mark.parametrize("guidance_scale", [1, 7.5])
@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
@pytest.mark.parametrize("scheduler", [None, EulerAncestralDiscreteScheduler])
def test_latents_are_those_of_each_prompt_run_alone(request, fixture, scheduler, guidance_scale):
    pipe = request.getfixturevalue(fixture)
    if scheduler:
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    options = {"first_steps": 3, "guidance_scale": guidance_scale}
    together = latents_by_step(run(pipe, batch_size=2, **options))
    for row, (prompt, seed) in enumerate(zip(PROMPTS, SEEDS, strict=True)):
        alone = []
        handle = pipe.unet.conv_in.register_forward_pre_hook(lambda _, args, alone=alone: alone.append(args[0][-1]))
        generator = torch.Generator().manual_seed(seed)
        pipe.set_progress_bar_config(disable=True)
        pipe(prompt, num_inference_steps=5, guidance_scale=guidance_scale, generator=generator, output_type="latent")
        handle.remove()
        for ours, theirs in zip(together, alone, strict=False):
            # Another batch size, another order of float32 sums (6e-8 each), amplified by guidance over three steps.
            torch.testing.assert_close(ours[row], theirs, rtol=1e-4, atol=1e-4)
    assert not torch.equal(together[0], together[2])


@REPEATING
def test_a_timestep_evaluated_again_is_run_but_not_observed(pipe, scheduler, options):
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **options)
    steps = []
    calls = run(pipe, on_step=lambda: steps.append(None), first_steps=3, num_inference_steps=6, guidance_scale=1)
    pipe.scheduler.set_timesteps(6)
    timesteps = pipe.scheduler.timesteps.tolist()
    assert len(set(timesteps)) < len(timesteps)
    assert [call.timestep for call in calls] == timesteps[: len(calls)]
    assert [call.timestep for call in calls if call.prompts] == list(dict.fromkeys(timesteps))[:3]
    assert len(steps) == 3


@REPEATING
def test_a_run_ends_with_the_last_evaluation_that_is_observed(pipe, scheduler, options):
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **options)
    calls = run(pipe, first_steps=3, num_inference_steps=6, guidance_scale=1)
    assert calls[-1].prompts is not None


@pytest.mark.parametrize("config", [None, {}, {"desc": "mine", "leave": False}])
def test_the_pipeline_is_left_as_it_was(pipe, config):
    if config is not None:
        pipe.set_progress_bar_config(**config)
    before = dict(vars(pipe))
    run(pipe)
    assert "forward" not in vars(pipe.unet)
    assert getattr(pipe, "_progress_bar_config", None) == before.get("_progress_bar_config")


def test_no_progress_bar_of_the_pipeline_is_shown(pipe, capfd):
    run(pipe)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("batch_size", [2, 16])
def test_the_pipeline_is_left_as_it_was_by_an_error_midway(pipe, error, batch_size):
    pipe.set_progress_bar_config(desc="mine")

    def fail():
        raise error("midway")

    with pytest.raises(error, match="midway"):
        run(pipe, on_step=fail, batch_size=batch_size)
    assert "forward" not in vars(pipe.unet)
    assert pipe._progress_bar_config == {"desc": "mine"}


def test_a_forward_that_somebody_else_put_in_place_is_not_used_and_put_back(pipe):
    plain, calls = pipe.unet.forward, []

    def own_forward(*args, **kwargs):
        calls.append(None)
        return plain(*args, **kwargs)

    pipe.unet.forward = own_forward
    run(pipe, first_steps=2, guidance_scale=1)
    assert pipe.unet.forward is own_forward
    assert not calls


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_that_offload_the_model_are_renewed_and_stay_in_place(pipe, fails):
    def renew():
        remove_hook_from_module(pipe.unet)
        add_hook_to_module(pipe.unet, CountingHook())

    def step():
        if fails:
            raise KeyboardInterrupt

    renew()
    pipe.maybe_free_model_hooks = renew  # as a pipeline does whose models take turns on the device
    first = pipe.unet._hf_hook
    with pytest.raises(KeyboardInterrupt) if fails else nullcontext():
        run(pipe, guidance_scale=1, on_step=step)
    assert first.calls == (1 if fails else 2)
    assert pipe.unet._hf_hook is not first
    run(pipe, guidance_scale=1)
    remove_hook_from_module(pipe.unet)
    assert pipe.unet.forward.__func__ is type(pipe.unet).forward


def test_a_pipeline_that_makes_other_rows_is_refused(pipe):
    class ThreeImages(StableDiffusionPipeline):
        def __call__(self, prompt, generator, **options):
            return super().__call__(prompt, num_images_per_prompt=len(generator), **options)

    pipe.__class__ = ThreeImages
    with pytest.raises(TypeError, match="ThreeImages gave UNet2DConditionModel 18 rows for 3 prompts"):
        run(pipe)
    assert "forward" not in vars(pipe.unet)
