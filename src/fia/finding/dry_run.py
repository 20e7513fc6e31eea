"""Estimates the calls, time and memory of a run of `find`. Times the first steps with as few prompts as possible."""

import math
import time
from dataclasses import dataclass, replace

import torch

from ..models.lock import held
from .collect import collect_statistics
from .memory import free_memory
from .plan import FindingPlan
from .progress import Progress
from .saliency import connection_saliency


@dataclass(frozen=True)
class Estimate:
    """What a run of `find` would take.

    Attributes:
        concepts: number of concepts.
        groups: number of groups of concepts that go through the steps together.
        layers: number of layers that the run watches.
        connections: number of connections in these layers.
        prompts: number of prompts, with and without the concepts.
        steps: number of denoising steps that run, out of `num_inference_steps`.
        num_inference_steps: number of steps of a whole generation.
        calls: number of calls of the denoiser.
        rows: number of rows in all these calls.
        processes: number of processes that share the work.
        seconds: estimated time, in seconds.
        timed: number of prompts in the two steps that were timed for the estimate.
        memory: memory for the running sums, in bytes.
        memory_free: free memory of the device, beside the model, in bytes.
        device: the device of the run.
        sums_device: the device that keeps the concepts' sums.
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
    timed: int
    memory: int
    memory_free: int
    device: str
    sums_device: str

    def as_text(self) -> str:
        """Returns a table for people."""
        shared = f", by {self.processes} processes" if self.processes > 1 else ""
        where = "" if self.sums_device == self.device else f", so the concepts' sums go to the {self.sums_device}"
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        lines = {
            "concepts": f"{self.concepts}{groups}",
            "layers": f"{self.layers}, with {self.connections:,} connections",
            "prompts": f"{self.prompts}, each for {self.steps} of {self.num_inference_steps} steps",
            "denoiser": f"{self.calls:,} calls with {self.rows:,} rows in all{shared}",
            "time": f"about {in_words(self.seconds)} ({self.device}; two steps of {self.timed} prompts were timed)",
            "memory": f"{self.memory / 1e9:.2f} GB for running sums, beside what generating takes; "
            f"{self.memory_free / 1e9:.1f} GB are free{where}",
        }
        return "\n".join(f"{name:<10}{text}" for name, text in lines.items())


def estimate(plan: FindingPlan, processes: int = 1) -> Estimate:
    """Returns what a plan would take. Runs two steps to measure the speed.

    Args:
        plan: the plan.
        processes: number of processes that would share the work.
    """
    device, settings = plan.pipe._execution_device, plan.settings
    free, share = free_memory(device), math.ceil(len(plan.groups) / processes) / len(plan.groups)
    # On a GPU a batch takes hardly longer than one row, so we fill a batch.
    pairs = 1 if device.type == "cpu" else max(1, min(len(plan.groups[0][0][1]), settings.batch_size // 2))
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
        seconds=share * plan.rows * seconds_per_row(plan, pairs),
        timed=2 * pairs,
        memory=plan.memory.bytes,
        memory_free=free,
        device=str(device),
        sums_device=str(plan.memory.integrals),
    )


def seconds_per_row(plan: FindingPlan, pairs: int) -> float:
    """Returns the seconds for each row in the second step of the first concept's first prompt pairs.

    The first step warms up.
    """
    concept, own = plan.groups[0][0]
    device, number = plan.pipe._execution_device, min(2, plan.settings.num_inference_steps)
    brief = replace(plan, settings=replace(plan.settings, saliency_steps=number))
    times: list[float] = [time.perf_counter()]

    def on_step(_done: int, _total: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter())

    with held(plan.denoiser), Progress(number, shown=False, on_step=on_step) as steps:
        collect_statistics(brief, plan.memory.parts[0], [(concept, own[:pairs])], steps, connection_saliency)
    return (times[-1] - times[-2]) / (2 * pairs * plan.passes_of_step)


def in_words(seconds: float) -> str:
    """Returns a time as people say it: 40 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
