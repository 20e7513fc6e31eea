"""Draws and scores states of a model, one after another, and goes on where it was interrupted.

A state of a task has a folder with its images and, once it is complete, `result.json`. Nothing in there depends on
interruptions, on the number of processes, or on the machine's speed, but for what it cost to make the edit.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from ..drawing.gallery import Gallery, draw_gallery
from ..drawing.images import Drawing
from ..edits.interface import Edit
from ..files import claim, slug, write_json
from ..processes import processes
from ..provenance import machine
from .tasks import Task


@dataclass
class State:
    """What a task found in one state of the model.

    Attributes:
        images: it drew.
        scores: of them.
        cost: seconds and megabytes it took to make the edit; empty for a control.
    """

    images: Gallery
    scores: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """A model, how it draws, and the folder for what it draws.

    Attributes:
        model: identifies the pipeline: a name, or hashes.
    """

    out: Path
    pipe: DiffusionPipeline
    drawing: Drawing
    model: Any

    def state(
        self,
        task: Task,
        name: str,
        make: Callable[[], tuple[Edit, dict[str, float]]],
        made_with: Any,
        before: Gallery | None = None,
    ) -> State:
        """Draws and scores one state of a task, or what is missing of it.

        Args:
            task: to draw for.
            name: of the state.
            make: gives the edit and what it cost; called only where something is missing.
            made_with: what the edit depends on, as JSON.
            before: the untouched model's images, to compare with.

        Raises:
            ValueError: where the folder holds a state that was made otherwise.
        """
        folder = self.folder(task, name)
        claim(folder, self.made_with(task, made_with))
        finished = folder / "result.json"
        if finished.exists():
            known = json.loads(finished.read_text(encoding="utf-8"))
            return State(Gallery.numbered(folder, len(task.questions)), known["scores"], known["cost"])
        edit, cost = make()
        changed = edit.changed_percent(self.pipe)
        with edit.applied(self.pipe) as edited:
            images = draw_gallery(edited, task.requests, folder, self.drawing, f"{task.name}: {name}")
        if not processes().is_main_process:
            return State(images)  # the main process scores what all have drawn
        scores = task.score(images) | (task.compare(before, images) if before is not None else {})
        state = State(images, scores | {"changed_percent": changed}, cost)
        write_json(finished, {"scores": state.scores, "cost": state.cost})
        return state

    def folder(self, task: Task, state: str) -> Path:
        """Returns where a state of a task is kept."""
        return self.out / "runs" / slug(task.name) / slug(state)

    def made_with(self, task: Task, edit: Any) -> dict[str, Any]:
        """Returns everything that a state's images and scores depend on."""
        return {
            "edit": edit,
            "prompts": task.digest,
            "drawing": asdict(self.drawing),
            "judges": task.measured_with,
            "model": self.model,
            "environment": machine(self.pipe.device),
        }
