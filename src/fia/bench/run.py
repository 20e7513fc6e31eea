"""Runs every method on every task, with the same prompts and seeds, and goes on where it was interrupted.

All scores together are `results.json`, which does not depend on interruptions or on the machine's speed; what the edits
cost is in `costs.json`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ..evaluation.cost import Cost
from ..evaluation.images import Drawing
from ..evaluation.provenance import environment, hash_folder
from ..evaluation.run import Evaluation, NoEdit, write_json
from ..evaluation.tasks import AccuracyTask
from ..mask import NeuronMask
from ..methods import Edit, Method, random_mask
from ..testbed.judge import TestbedJudge
from ..testbed.pretrained import FOLDER, load_classifier, load_testbed
from ..testbed.questions import World, ask
from ..unlearn import versions
from .report import Results, comparison, write_report
from .tasks import BenchTask

NO_EDIT, RANDOM, OURS = "no edit", "random mask", "FIA"  # the control is as large as the mask of OURS
MadeEdit = tuple[Edit, dict[str, float]]  # and what it cost


class Bench:
    """The test-bed, its judge and its world; results go to a folder."""

    def __init__(self, out: Path, world: World, drawing: Drawing, weights: Path = FOLDER) -> None:
        """Loads the model and the judge from `weights`, a folder written by `fia testbed train`."""
        self.out, self.world, self.pipe = out, world, load_testbed(weights)
        self.judge = TestbedJudge(load_classifier(weights))
        model = {part: hash_folder(weights / part) for part in ("model", "classifier")}
        self.evaluation = Evaluation(out, self.pipe, drawing, model)

    def run(self, tasks: Sequence[BenchTask], methods: Mapping[str, Method]) -> tuple[Results, Results]:
        """Runs what has not been run yet; returns and writes all scores and costs. The controls come with it.

        Raises:
            ValueError: where the folder holds a run with other settings, prompts, model or versions.
        """
        results: dict[str, Any] = {}
        costs: dict[str, Any] = {}
        for task in tasks:
            results[task.name], costs[task.name] = self.run_task(task, methods)
        if not PartialState().is_main_process:
            return results, costs
        made_with = {
            "world": asdict(self.world),
            "drawing": asdict(self.evaluation.drawing),
            "model": self.evaluation.model,
            "versions": versions(),
        }
        write_json(self.out / "results.json", {"made_with": made_with, "tasks": results})
        machine = environment(self.pipe.device) | {"threads": torch.get_num_threads()}
        write_json(self.out / "costs.json", {"environment": machine, "tasks": costs})
        write_report(self.out, results, costs)
        return results, costs

    def run_task(self, task: BenchTask, methods: Mapping[str, Method]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns scores and costs by method."""
        questions = AccuracyTask(task.name, ask(self.world, task.concepts, task.keep), self.judge)
        make = self.edits(task, methods)
        states = {}
        for name in (NO_EDIT, *methods, *([RANDOM] if OURS in methods else [])):
            method = methods.get(OURS if name == RANDOM else name)
            settings = asdict(method) if method is not None else {}  # type: ignore[call-overload]
            concepts = [asdict(concept) for concept in task.concepts]
            made_with = {"method": name, "settings": settings, "concepts": concepts, "keep": task.keep}
            states[name] = self.evaluation.state(questions, name, lambda: make(name), made_with)  # noqa: B023
        if PartialState().is_main_process:
            comparison(questions, {name: state.images for name, state in states.items()}, self.out)
        return {name: state.scores for name, state in states.items()}, {n: state.cost for n, state in states.items()}

    def edits(self, task: BenchTask, methods: Mapping[str, Method]) -> Callable[[str], MadeEdit]:
        """Returns a function that makes the edit of a method or control, once."""

        @cache
        def make(name: str) -> MadeEdit:
            if name == NO_EDIT:
                return NoEdit(), {}
            if name == RANDOM:
                mask, _ = make(OURS)
                assert isinstance(mask, NeuronMask)
                return random_mask(mask), {}
            with Cost(self.pipe.device) as cost:
                edit = methods[name].unlearn(self.pipe, task.concepts, task.keep)
            return edit, cost.as_json()

        return make
