"""`fia evaluate`."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from diffusers import DiffusionPipeline
from tyro.conf import OmitArgPrefixes

from ..bench import evaluation_tasks as testbed_tasks
from ..bench.questions import World
from ..concepts import Concept, as_concepts, parse_concept
from ..drawing.images import Drawing
from ..edits.edited import load_edited
from ..edits.interface import Edit, NoEdit
from ..errors import UsageError
from ..evaluation import build, summary
from ..evaluation.questions import Group, first_of_each
from ..evaluation.records import EditName, EvaluationResult, TaskResult
from ..evaluation.report import write_report
from ..evaluation.run import MASKED, RANDOM, UNTOUCHED, Evaluation, MadeEdit, State
from ..evaluation.tasks import Task
from ..files import write_json
from ..loading import Runtime
from ..masks.mask import NeuronMask
from ..masks.random_control import random_mask
from ..models.pipelines import model_name, without_safety_checker
from ..processes import processes
from ..provenance import Identity, environment, hash_file, hash_folder, hash_pipeline
from ..recommended import GUIDANCE_SCALES
from ..testbed.pretrained import FOLDER, NAMES
from .arguments import Folder, Json, MaskFlag, Model

TaskName = Literal["objects", "styles", "explicit", "quality", "robust-prompts"]

MOST_IN_CARD: dict[Group, int] = {"forgotten": 2, "kept": 1, "rest": 1}  # images of a task


@dataclass
class Evaluate:
    """Measures what a model still generates after an edit.

    The edit is a mask, or the result of any other tool. The command generates the same prompts and seeds with the
    untouched model, with the edited model and, for a mask, with a random mask of equal size. It writes results.json,
    report.html and every image. If you start it again with the same folder, it continues. Under torchrun, processes
    share the images.

    Examples:
      fia evaluate testbed --mask masks/testbed --task objects quality robust-prompts --out runs/testbed
      fia evaluate ./my-model --mask masks/ten --task objects --out runs/ten
      fia evaluate ./my-model --edited ./by-another-tool --forgotten "Van Gogh:style" --task styles --out runs/other
      fia evaluate ./my-model --mask masks/naked --task explicit --i2p i2p_benchmark.csv --out runs/i2p
    """

    model: Model
    out: Folder
    """Where to save the results and all images."""
    mask: MaskFlag = None
    edited: Path | None = None
    """Result of another tool, instead of a mask: a diffusers folder, a denoiser's safetensors file, or a LoRA."""
    task: tuple[TaskName, ...] = ("objects",)
    """What to measure: one or several tasks."""
    forgotten: tuple[str, ...] = ()
    """What should be gone, as NAME or NAME:KIND; by default the concepts of the mask."""
    keep: tuple[str, ...] = ()
    """What should be kept, as NAME or NAME:KIND; by default the other concepts of the paper."""
    control: bool = True
    """Also measure a random mask of equal size."""
    sources: OmitArgPrefixes[build.Sources] = field(default_factory=build.Sources)
    world: World = field(default_factory=World)
    drawing: OmitArgPrefixes[Drawing] = field(default_factory=Drawing)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: Json = False

    def run(self) -> None:
        if (self.mask is None) == (self.edited is None):
            raise UsageError("Give either --mask or --edited, the edit of the model to evaluate.")
        mask = NeuronMask.from_pretrained(self.mask) if self.mask else None
        edit = mask if mask is not None else load_edited(self.edited)  # type: ignore[arg-type]
        forgotten = self.forgotten_concepts(mask)
        pipe = without_safety_checker(self.runtime.load(self.model))
        edit.check(pipe)
        tasks = [self.build(name, forgotten, pipe.device) for name in dict.fromkeys(self.task)]
        evaluation = Evaluation(self.out, pipe, self.usual(self.drawing), self.identify(pipe))
        edit_name = self.edit_name(mask)
        result: EvaluationResult = {
            "model": self.identify(pipe),
            "edit": edit_name,
            "forgotten": [asdict(concept) | {"prompts": []} for concept in forgotten],
            "drawing": asdict(evaluation.drawing),
            "seed": self.world.seed if self.model in NAMES else self.sources.seed,
            "environment": environment(pipe.device),
            "tasks": {task.name: self.measure(evaluation, task, edit, edit_name) for task in tasks},
        }
        if processes().is_main_process:
            write_json(self.out / "results.json", result)
            write_report(evaluation, result, tasks, mask)
            message = f"\n{summary.text(result['tasks'])}\n\nThe report is {self.out / 'report.html'}"
            print(json.dumps(result, indent=2) if self.json else message)

    def forgotten_concepts(self, mask: NeuronMask | None) -> list[Concept]:
        """Returns what should be gone."""
        if self.forgotten:
            return as_concepts(map(parse_concept, self.forgotten))
        if mask is None:
            raise UsageError(
                'Say what the edited model should have forgotten, such as: --forgotten church "Van Gogh:style".'
            )
        return [Concept(name, kind) for name, kind in mask.kinds.items()]

    def build(self, name: str, forgotten: list[Concept], device: torch.device) -> Task:
        """Returns the task for this model."""
        keep = as_concepts(map(parse_concept, self.keep)) if self.keep else []
        if self.model in NAMES:
            return testbed_tasks.build_task(name, self.world, forgotten, keep, FOLDER)
        return build.build_task(name, self.sources, forgotten, keep, device)

    def usual(self, drawing: Drawing) -> Drawing:
        """Returns how to generate. If no guidance is given, it is the one recommended for the model."""
        if drawing.guidance_scale is None:
            return replace(drawing, guidance_scale=GUIDANCE_SCALES.get(self.model))
        return drawing

    def identify(self, pipe: DiffusionPipeline) -> Identity:
        """Returns what identifies the model, without its path."""
        return {
            "name": model_name(pipe),
            "hash": hash_pipeline(pipe),
            "dtype": str(pipe.dtype).removeprefix("torch."),
            "scheduler": type(pipe.scheduler).__name__,
        }

    def edit_name(self, mask: NeuronMask | None) -> EditName:
        """Returns what identifies the edit."""
        if mask is not None:
            return {"mask": list(mask.concepts), "fingerprint": mask.fingerprint}
        assert self.edited is not None
        digest = hash_folder(self.edited) if self.edited.is_dir() else hash_file(self.edited)
        return {"edited": self.edited.name, "hash": digest}

    def measure(self, evaluation: Evaluation, task: Task, edit: Edit, edit_name: EditName) -> TaskResult:
        """Returns a task's scores in every state, including the comparison with the untouched model."""
        edits: dict[str, Callable[[], MadeEdit]] = {UNTOUCHED: lambda: MadeEdit(NoEdit())}
        edits[MASKED if isinstance(edit, NeuronMask) else "edited"] = lambda: MadeEdit(edit)
        if isinstance(edit, NeuronMask) and self.control:
            edits[RANDOM] = lambda: MadeEdit(random_mask(edit))
        states: dict[str, State] = {}
        for name, make in edits.items():
            made_with = {"state": name} | (edit_name if name != UNTOUCHED else {})
            before = states[UNTOUCHED].images if name != UNTOUCHED else None
            states[name] = evaluation.state(task, name, make, made_with, before)
        return {
            "measured_with": task.measured_with,
            "images": len(task.questions),
            "prompts": task.digest,
            "states": {name: state.scores for name, state in states.items()},
            "shown": [
                {"number": i, "prompt": task.requests[i].prompt} for i in first_of_each(task.questions, MOST_IN_CARD)
            ]
            if not task.is_explicit
            else [],
        }
