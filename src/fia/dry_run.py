"""What a finding would take, in calls, time and memory; its first steps are timed with as few prompts as possible."""

import math
import time
from dataclasses import asdict, dataclass, replace

import torch

from .activations import connection_saliency
from .memory import numbers_that_fit
from .plan import FindingPlan
from .unlearn import collect_statistics


@dataclass(frozen=True)
class Estimate:
    """What a finding would take.

    Attributes:
        concepts: number of concepts.
        groups: number of groups of concepts that go through the steps together.
        layers: number of layers that are watched.
        connections: number of connections in them.
        prompts: number of prompts, with and without the concepts.
        steps: number of denoising steps, of `num_inference_steps`.
        num_inference_steps: of a whole generation.
        calls: of the denoiser.
        rows: that the denoiser is given in all these calls.
        processes: that share the work.
        seconds: estimated.
        memory: for the running sums, bytes.
        memory_free: on the device, beside the model, bytes.
        device: that it would run on.
    """

    concepts: int
    groups: int
    layers: int
    connections: int
    prompts: int
    steps: int
    num_inference_steps: int
    calls: int
    rows: int
    processes: int
    seconds: float
    memory: int
    memory_free: int
    device: str

    def as_text(self) -> str:
        """Returns a table for people."""
        shared = f", by {self.processes} processes" if self.processes > 1 else ""
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        lines = {
            "concepts": f"{self.concepts}{groups}",
            "layers": f"{self.layers}, with {self.connections:,} connections",
            "prompts": f"{self.prompts}, each for {self.steps} of {self.num_inference_steps} steps",
            "denoiser": f"{self.calls:,} calls with {self.rows:,} rows in all{shared}",
            "time": f"about {in_words(self.seconds)} ({self.device}; two steps of one prompt pair were timed)",
            "memory": f"{self.memory / 1e9:.2f} GB for running sums, beside what drawing takes; "
            f"{self.memory_free / 1e9:.1f} GB are free",
        }
        return "\n".join(f"{name:<10}{text}" for name, text in lines.items())

    def as_json(self) -> dict[str, float | str]:
        """Returns it as plain JSON."""
        return asdict(self)


def estimate(plan: FindingPlan, processes: int = 1) -> Estimate:
    """Returns what a plan would take, after a look at the speed of two steps."""
    device, settings = plan.pipe._execution_device, plan.settings
    share = math.ceil(len(plan.groups) / processes) / len(plan.groups)
    return Estimate(
        concepts=len(plan.pairs),
        groups=len(plan.groups),
        layers=len(plan.layers),
        connections=sum(layer.size for layer in plan.layers.values()),
        prompts=plan.prompts,
        steps=settings.saliency_steps,
        num_inference_steps=settings.num_inference_steps,
        calls=plan.calls,
        rows=plan.rows,
        processes=processes,
        seconds=share * plan.rows * seconds_per_row(plan),
        memory=plan.memory.bytes,
        memory_free=2 * 4 * numbers_that_fit(device),
        device=str(device),
    )


def seconds_per_row(plan: FindingPlan) -> float:
    """Times a step of the first concept's first prompt pair, or of as many as a batch of a GPU holds."""
    concept, own = plan.groups[0][0]
    number = 1 if plan.pipe._execution_device.type == "cpu" else max(1, min(len(own), plan.settings.batch_size // 2))
    settings = replace(plan.settings, saliency_steps=min(2, plan.settings.num_inference_steps))
    times: list[float] = [time.perf_counter()]

    def on_step() -> None:
        if plan.pipe._execution_device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    layers = plan.memory.parts[0]
    group = [(concept, own[:number])]
    collect_statistics(
        plan.pipe, layers, group, settings, settings.batch_size, connection_saliency, on_step, plan.memory
    )
    passes = plan.passes / plan.steps_of_group
    return (times[-1] - times[-2]) / (2 * number * passes)  # the first step also warms up


def in_words(seconds: float) -> str:
    """Returns a length of time as people say it: 40 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
