"""Runs every method on every task, with the same prompts and seeds, and goes on where it was interrupted.

All scores together are `results.json`, which does not depend on interruptions or on the machine's speed; what the edits
cost is in `costs.json`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..drawing.images import Drawing
from ..evaluation.report import grid
from ..evaluation.run import Evaluation
from ..evaluation.tasks import AccuracyTask
from ..files import slug, write_json
from ..methods import Method
from ..processes import processes
from ..provenance import environment, hash_pipeline
from ..testbed.judge import load_judge
from ..testbed.pretrained import FOLDER, load_testbed
from .edit_store import NO_EDIT, OURS, RANDOM, Edits
from .questions import World, ask
from .report import Results, write_report
from .tasks import BenchTask

MethodsFor = Callable[[BenchTask], Mapping[str, Method]]  # the methods, with their settings for a task


class Bench:
    """The test-bed, its judge and its world; results go to a folder."""

    def __init__(self, out: Path, world: World, drawing: Drawing, weights: Path = FOLDER) -> None:
        """Loads the model and the judge from `weights`, a folder written by `fia testbed train`."""
        self.out, self.world, self.pipe = out, world, load_testbed(weights)
        self.judge = load_judge(weights)
        self.evaluation = Evaluation(out, self.pipe, drawing, hash_pipeline(self.pipe))

    def run(self, tasks: Sequence[BenchTask], methods: MethodsFor) -> tuple[Results, Results]:
        """Runs what has not been run yet; returns and writes all scores and costs. The controls come with it.

        Raises:
            ValueError: where the folder holds a run with other settings, prompts, model or versions.
        """
        results: dict[str, Any] = {}
        costs: dict[str, Any] = {}
        for task in tasks:
            results[task.name], costs[task.name] = self.run_task(task, methods(task))
        if not processes().is_main_process:
            return results, costs
        made_with: dict[str, Any] = {
            "world": asdict(self.world),
            "drawing": asdict(self.evaluation.drawing),
            "model": self.evaluation.model,
            "judge": self.judge.identity,
            "methods": {
                task.name: {name: asdict(method) for name, method in methods(task).items()}  # type: ignore[call-overload]
                for task in tasks
            },
            "environment": environment(self.pipe.device),
        }
        write_json(self.out / "results.json", {"made_with": made_with, "tasks": results})
        device = made_with["environment"]["device"]
        used = {"device": device, "threads": torch.get_num_threads()}
        write_json(self.out / "costs.json", {"machine": used, "tasks": costs})
        write_report(self.out, results, costs)
        return results, costs

    def run_task(self, task: BenchTask, methods: Mapping[str, Method]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns scores and costs by method."""
        questions = AccuracyTask(task.name, ask(self.world, task.concepts, task.keep), self.judge)
        edits = Edits(self.out / "edits" / slug(task.name), self.pipe, task, methods, self.evaluation.model)
        states = {}
        for name in (NO_EDIT, *methods, *([RANDOM] if OURS in methods else [])):
            make = partial(edits.make, name)
            states[name] = self.evaluation.state(questions, name, make, edits.made_with(name))
        if processes().is_main_process:
            images = {name: state.images for name, state in states.items()}
            grid(questions, images).save(self.out / f"{slug(task.name)}.png")
        return {name: state.scores for name, state in states.items()}, {n: state.cost for n, state in states.items()}
