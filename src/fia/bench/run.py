"""Runs every method on every task, with the same prompts and seeds. After an interruption, it continues.

`results.json` holds all scores. It does not depend on interruptions or on the machine's speed. `costs.json` holds the
costs of the edits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..drawing.images import Drawing
from ..evaluation.drift import perceptual_distances
from ..evaluation.intervals import mean_with_interval, proportion
from ..evaluation.network import ImageNetwork
from ..evaluation.questions import Question, score
from ..evaluation.records import Costs, Scores
from ..evaluation.report import grid
from ..evaluation.run import RANDOM, UNTOUCHED, Evaluation
from ..evaluation.tasks import AccuracyTask
from ..files import slug, write_json, written_whole
from ..methods import Method
from ..processes import processes
from ..provenance import environment, hash_pipeline
from ..testbed.classifier import NOTHING
from ..testbed.judge import TestbedJudge, load_judge
from ..testbed.pretrained import FOLDER, Architecture, load_testbed
from .edit_store import OURS, EditStore
from .questions import ask
from .report import LEGEND, BenchCosts, BenchScores, write_report
from .tasks import BenchTask

MethodsFor = Callable[[BenchTask], Mapping[str, Method]]  # the methods, with their settings for a task


class WorldTask(AccuracyTask):
    """What is forgotten, what leaves an empty place, and how much everything else drifts."""

    def __init__(self, name: str, questions: Sequence[Question], judge: TestbedJudge, network: ImageNetwork) -> None:
        super().__init__(name, questions, judge)
        self.measured_with.append(network.identity)
        self.network = network

    def score(self, images: Sequence[Image.Image]) -> Scores:
        """Returns the scores of `AccuracyTask`, and how many places without their forgotten object are empty."""
        answers = self.judge.answer(images)
        of_objects = [i for i, q in enumerate(self.questions) if q.group == "forgotten" and q.kind == "subject"]
        empty = proportion([answers["subject"][i] == NOTHING for i in of_objects])
        return {**score(self.questions, answers), "empty": empty}

    def compare(self, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> Scores:
        """Returns the distance of everything that is not forgotten from the images before, by the judge's features."""
        others = [i for i, question in enumerate(self.questions) if question.group != "forgotten"]
        pair = [before[i] for i in others], [after[i] for i in others]
        return {"perceptual_distance": mean_with_interval(perceptual_distances(self.network.stages, *pair))}


class Bench:
    """The embedded model, its judge, its world, and the folder for results."""

    def __init__(
        self, out: Path, world: Any, drawing: Drawing, weights: Path = FOLDER, architecture: Architecture = "unet"
    ) -> None:
        """Loads the model and the judge from `weights`, a folder that `fia testbed train` wrote."""
        self.out, self.world, self.pipe = out, world, load_testbed(weights, architecture)
        self.judge, self.model = load_judge(weights), hash_pipeline(self.pipe)
        self.network = ImageNetwork(str(weights / "classifier"))
        self.evaluation = Evaluation(out, self.pipe, drawing, self.model)

    def run(self, tasks: Sequence[BenchTask], methods: MethodsFor) -> tuple[BenchScores, BenchCosts]:
        """Runs what is missing, including the controls; returns and writes all scores and costs.

        Raises:
            ValueError: if the folder holds a run with other settings, prompts, model or versions.
        """
        scores: dict[str, dict[str, Scores]] = {}
        costs: dict[str, dict[str, Costs]] = {}
        for task in tasks:
            scores[task.name], costs[task.name] = self.run_task(task, methods(task))
        if not processes().is_main_process:
            return scores, costs
        machine = environment(self.pipe.device)
        made_with = {
            "world": asdict(self.world),
            "drawing": asdict(self.evaluation.drawing),
            "model": self.model,
            "judge": self.judge.identity,
            "methods": {task.name: {name: asdict(method) for name, method in methods(task).items()} for task in tasks},
            "environment": machine,
        }
        write_json(self.out / "results.json", {"made_with": made_with, "tasks": scores})
        used = {"device": machine["device"], "threads": torch.get_num_threads()}
        write_json(self.out / "costs.json", {"machine": used, "tasks": costs})
        write_report(self.out, scores, costs, self.legend())
        return scores, costs

    def legend(self) -> str:
        """Returns what the columns of the tables mean."""
        return LEGEND

    def questions_about(self, task: BenchTask) -> WorldTask:
        """Returns the questions about a task."""
        return WorldTask(task.name, ask(self.world, task.concepts, task.keep), self.judge, self.network)

    def run_task(self, task: BenchTask, methods: Mapping[str, Method]) -> tuple[dict[str, Scores], dict[str, Costs]]:
        """Returns scores and costs by method."""
        questions = self.questions_about(task)
        store = EditStore(self.out / "edits" / slug(task.name), self.pipe, task, methods, self.model)
        names = (UNTOUCHED, *methods, *([RANDOM] if OURS in methods else []))
        states = store.measure(self.evaluation, questions, names)
        if processes().is_main_process:
            images = {name: state.images for name, state in states.items()}
            with written_whole(self.out / f"{slug(task.name)}.png") as file:
                grid(questions, images).save(file, format="PNG")
        return {name: state.scores for name, state in states.items()}, {n: state.costs for n, state in states.items()}
