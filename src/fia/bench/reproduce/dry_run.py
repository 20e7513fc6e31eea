"""Estimates what a run of a protocol takes: images, passes through the denoiser, time and memory.

A pass is one image's latents through the denoiser once. Guidance needs two of them at each step.
"""

from dataclasses import dataclass, replace

import psutil
import torch
from diffusers import DiffusionPipeline

from ...drawing.images import batches, draw_batch, seconds_per_image
from ...errors import UsageError
from ...finding.dry_run import in_words
from ...finding.memory import free_memory
from ...finding.plan import plan_finding
from ...methods import ESD, FIA, ConceptPrune, Method
from ...models.families import family_of
from ...models.layers import count_parameters
from ...models.pipelines import get_denoiser, hidden_progress_bar, model_name
from ..cost import CostMeter
from .run import Plan

TIMED_STEPS = 2
COPIES_OF_ESD = 4  # the trained copy, its gradients and Adam's two moments, at most
TRAINING = 5  # passes of an iteration of ESD: two targets, one prediction, and twice that to go back


@dataclass(frozen=True)
class Estimate:
    """What a run of a protocol would take, from the start and in one process.

    Attributes:
        protocol: name of the protocol.
        model: name of the model.
        device: its device.
        images: number of images of each state, by evaluation task.
        passes_of_images: passes for the images of one state.
        passes_of_edits: passes to make the edit of each state.
        seconds_per_pass: estimated seconds for each pass.
        seconds_per_image: estimated seconds for each image.
        seconds: estimated seconds of the whole run. Processes share the images; the main one makes the edits.
        batch_size: number of images in the batch that was timed.
        memory: peak memory with this batch, the model included, in bytes.
        memory_of_edits: memory that the most demanding edit takes beside the model, in bytes.
        memory_free: memory that is free while the model is loaded, in bytes.
        processes: number of processes that share the images.
        left_out: why each of the other methods cannot edit the model.
    """

    protocol: str
    model: str
    device: str
    images: dict[str, int]
    passes_of_images: int
    passes_of_edits: dict[str, int]
    seconds_per_pass: float
    seconds_per_image: float
    seconds: float
    batch_size: int
    memory: int
    memory_of_edits: int
    memory_free: int
    processes: int
    left_out: dict[str, str]

    def as_text(self) -> str:
        """Returns a table for people."""
        images = sum(self.images.values())
        lines = [
            f"{self.protocol} on {self.model} ({self.device}), for each state: "
            + ", ".join(f"{number:,} images of {task}" for task, number in self.images.items()),
            "",
            f"{'':<18}{'images':>10}{'passes: edit':>16}{'passes: images':>18}{'time, estimated':>18}",
        ]
        for name, own in self.passes_of_edits.items():
            seconds = self.seconds_per_pass * own + self.seconds_per_image * images / self.processes
            lines.append(f"{name:<18}{images:>10,}{own:>16,}{self.passes_of_images:>18,}{in_words(seconds):>18}")
        states, edits = len(self.passes_of_edits), sum(self.passes_of_edits.values())
        lines += [
            f"{'in all':<18}{states * images:>10,}{edits:>16,}{states * self.passes_of_images:>18,}"
            f"{in_words(self.seconds):>18}",
            "",
            f"The time is estimated from a batch of {self.batch_size} with {TIMED_STEPS} steps"
            + (f", for {self.processes} processes" if self.processes > 1 else "")
            + ". Judging the images comes on top.",
            f"The memory is about {self.memory / 1e9:.1f} GB with this batch, the model included; the edits need up to "
            f"{self.memory_of_edits / 1e9:.1f} GB beside the model. {self.memory_free / 1e9:.1f} GB are free while it "
            "is loaded.",
            *(f"Left out: {name}. {reason}" for name, reason in self.left_out.items()),
        ]
        return "\n".join(lines)


def estimate(plan: Plan, processes: int = 1) -> Estimate:
    """Returns what a plan would take. Generates one batch with two steps to measure the speed, and keeps no image.

    Args:
        plan: the plan.
        processes: number of processes that would share the images.
    """
    steps, guided = plan.drawing.num_inference_steps, passes_of_step(plan.pipe, plan.drawing.guidance_scale)
    per_step, rest, batch_size, memory = timed(plan)
    per_pass, per_image = per_step / guided, per_step * steps + rest
    images = {task.name: len(task.questions) for task in plan.tasks}
    costs = {name: cost_of(plan.methods[name], plan) if name in plan.methods else (0, 0) for name in plan.states}
    passes = {name: own for name, (own, _) in costs.items()}
    return Estimate(
        protocol=plan.protocol.task.name,
        model=model_name(plan.pipe),
        device=str(plan.pipe._execution_device),
        images=images,
        passes_of_images=sum(images.values()) * steps * guided,
        passes_of_edits=passes,
        seconds_per_pass=per_pass,
        seconds_per_image=per_image,
        seconds=per_pass * sum(passes.values()) + per_image * len(costs) * sum(images.values()) / processes,
        batch_size=batch_size,
        memory=memory,
        memory_of_edits=max(own for _, own in costs.values()),
        memory_free=free_memory(plan.pipe._execution_device),
        processes=processes,
        left_out=dict(plan.left_out),
    )


def timed(plan: Plan) -> tuple[float, float, int, int]:
    """Returns seconds for a step of an image and for the rest of it, the size of the batch, and its peak memory.

    Raises:
        ValueError: if the pipeline cannot be timed.
    """
    device = plan.pipe._execution_device
    brief = replace(plan.drawing, num_inference_steps=TIMED_STEPS)
    requests = [plan.tasks[0].requests[i] for i in next(batches(plan.tasks[0].requests, brief))]
    steps = seconds_per_image(plan.pipe, requests, brief)
    if steps is None:
        raise UsageError(f"{type(plan.pipe).__name__} cannot be timed: it has no callback for its steps.")
    with CostMeter(device) as cost, hidden_progress_bar(plan.pipe):
        draw_batch(plan.pipe, requests, brief)
    is_gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(device) if is_gpu else psutil.Process().memory_info().rss + cost.memory_bytes
    rest = max(0.0, cost.seconds / len(requests) - steps)  # the text, and decoding
    return steps / TIMED_STEPS, rest, len(requests), peak


def passes_of_step(pipe: DiffusionPipeline, guidance_scale: float | None) -> int:
    """Returns how often each image goes through the denoiser at a step."""
    is_guided = guidance_scale is None or guidance_scale > 1
    return 2 if is_guided and family_of(get_denoiser(pipe)).guidance != "distilled" else 1


def cost_of(method: Method, plan: Plan) -> tuple[int, int]:
    """Returns the passes and the memory in bytes that a method's edit takes. Closed forms take no passes."""
    pipe, concepts = plan.pipe, plan.protocol.task.concepts
    if isinstance(method, FIA):
        keep = () if method.settings.is_zero else plan.protocol.task.keep
        finding = plan_finding(pipe, concepts, method.settings, keep=keep)
        return finding.rows, finding.memory.bytes
    if isinstance(method, ConceptPrune):
        prompts = 2 * len(concepts) * method.prompts_per_concept * method.seeds_per_prompt
        return prompts * method.first_steps * passes_of_step(pipe, method.guidance_scale), 0
    if isinstance(method, ESD):
        denoising = method.num_inference_steps - 1  # half of them on average, with and without the text
        memory = COPIES_OF_ESD * 4 * count_parameters(get_denoiser(pipe))
        return method.iterations * method.batch_size * (denoising + TRAINING), memory
    return 0, 0
