"""Generates and scores the images of a model's states, one after another. After an interruption, it continues.

Each state of a task has a folder with its images and, when it is complete, `result.json`. Its content does not depend
on interruptions, on the number of processes, or on the machine's speed, except for the costs of making the edit.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypedDict

from diffusers import DiffusionPipeline
from tqdm.auto import tqdm

from ..drawing.gallery import Gallery, draw_gallery
from ..drawing.images import Drawing, Request, seconds_per_image
from ..edits.interface import Edit
from ..files import claim, read_json, slug, write_json
from ..finding.dry_run import in_words
from ..processes import processes
from ..provenance import Identity, machine
from .records import Costs, Scores
from .tasks import Task

UNTOUCHED, MASKED, RANDOM = "untouched", "masked", "random mask"  # names of states
FORMAT = 2  # of result.json; results in another format are scored again from the images


class StateResult(TypedDict):
    """The content of result.json."""

    format: int
    scores: Scores
    cost: Costs


@dataclass(frozen=True)
class MadeEdit:
    """An edit, and what it costs to make it."""

    edit: Edit
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class State:
    """Images and scores of one state of the model.

    Attributes:
        images: the images.
        scores: the scores of the images. With several processes, only the main process has them.
        costs: costs of making the edit.
    """

    images: Gallery
    scores: Scores = field(default_factory=Scores)
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class Evaluation:
    """A model, how it generates images, and the folder for them.

    Attributes:
        out: the folder.
        pipe: the model.
        drawing: how it generates images.
        model: identity of the pipeline.
    """

    out: Path
    pipe: DiffusionPipeline
    drawing: Drawing
    model: Identity | str

    def states(
        self, task: Task, edits: Mapping[str, tuple[Callable[[], MadeEdit], Mapping[str, object]]]
    ) -> dict[str, State]:
        """Returns every state of a task, compared with the first, which is the untouched model.

        Args:
            task: the task.
            edits: for each state, what makes its edit, and what that depends on; see `state`.
        """
        done: dict[str, State] = {}
        for name, (make, made_with) in edits.items():
            before = done[UNTOUCHED].images if done else None
            done[name] = self.state(task, name, make, made_with, before)
        return done

    def state(
        self,
        task: Task,
        name: str,
        make: Callable[[], MadeEdit],
        made_with: Mapping[str, object],
        before: Gallery | None = None,
    ) -> State:
        """Generates and scores the images of one state of a task. Skips what is there already.

        Args:
            task: the task with the prompts.
            name: name of the state.
            make: makes the edit and measures its costs; called only if something is missing.
            made_with: what the edit depends on, as JSON.
            before: images of the untouched model to compare with.

        Raises:
            ValueError: if the folder holds a state with other settings, prompts, model or versions.
        """
        folder = self.folder(task, name)
        claim(folder, self.made_with(task, made_with))
        finished = folder / "result.json"
        known = read_json(finished) if finished.exists() else {}
        if known.get("format") == FORMAT:
            return State(Gallery.numbered(folder, len(task.questions)), known["scores"], known["cost"])
        made = make()
        changed = made.edit.changed_percent(self.pipe)
        with made.edit.applied(self.pipe) as edited:
            images = draw_gallery(edited, task.requests, folder, self.drawing, f"{task.name}: {name}")
        if not processes().is_main_process:
            return State(images)  # the main process scores the images of all processes
        scores = task.score(images)
        if before is not None:
            scores.update(task.compare(before, images))
        scores["changed_percent"] = changed
        result: StateResult = {"format": FORMAT, "scores": scores, "cost": made.costs}
        write_json(finished, result)
        return State(images, scores, made.costs)

    def announce(self, tasks: Sequence[Task], states: Sequence[str]) -> None:
        """Prints to stderr how many images are still to generate, and about how long that takes.

        Args:
            tasks: the tasks.
            states: names of the states of each.
        """
        missing = [request for task in tasks for state in states for request in self._missing(task, state)]
        if not missing or not processes().is_main_process:
            return
        seconds = seconds_per_image(self.pipe, missing, self.drawing)
        share = len(missing) / processes().num_processes
        takes = "" if seconds is None else f", about {in_words(share * seconds)} in all"
        tqdm.write(f"Generating {len(missing):,} images in {len(states)} states{takes}.", file=sys.stderr)

    def _missing(self, task: Task, state: str) -> list[Request]:
        """Returns the images of a state that are not there yet."""
        folder = self.folder(task, state)
        if (folder / "result.json").exists():
            return []
        files = Gallery.numbered(folder, len(task.questions)).files
        return [request for request, file in zip(task.requests, files, strict=True) if not file.exists()]

    def folder(self, task: Task, state: str) -> Path:
        """Returns the folder of a state of a task."""
        return state_folder(self.out, task.name, state)

    def made_with(self, task: Task, edit: Mapping[str, object]) -> dict[str, object]:
        """Returns everything that a state's images and scores depend on."""
        return {
            "edit": edit,
            "prompts": task.digest,
            "drawing": asdict(self.drawing),
            "judges": task.measured_with,
            "model": self.model,
            "environment": machine(self.pipe.device),
        }


def state_folder(out: Path, task: str, state: str) -> Path:
    """Returns the folder of a state of a task, in the folder of an evaluation."""
    return out / "runs" / slug(task) / slug(state)
