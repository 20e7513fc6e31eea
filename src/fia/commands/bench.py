"""`fia bench`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tyro.conf import OmitArgPrefixes

from ..bench.chosen_settings import FOR_FEW, methods_for
from ..bench.questions import World
from ..bench.report import text
from ..bench.run import Bench
from ..bench.tasks import TASKS
from ..drawing.images import Drawing
from ..errors import UsageError
from ..processes import processes
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE
from .arguments import Folder, Json

QUICK_TASKS = 2  # the first of TASKS
Known = TypeVar("Known")


@dataclass
class BenchCommand:
    """Compares FIA with other methods on the embedded model.

    All methods and the controls get the same prompts and seeds. The command writes results.json, costs.json,
    results.md, tradeoff.png, and a picture for each task. If you start it again with the same folder, it continues.

    Examples:
      fia bench --out runs/bench --quick                                  # two tasks, under ten minutes on two cores
      fia bench --out runs/bench                                          # everything; hours on two cores
      fia bench --out runs/styles --tasks "forget all styles" --methods FIA UCE
    """

    out: Folder
    """Where to save the results and all images."""
    quick: bool = False
    """Generate fewer images with fewer steps, and run only the tasks to forget five objects and ten objects."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks to run; all by default, with --quick the first two."""
    methods: tuple[str, ...] = ()
    """Names of the methods to run; all by default. The untouched model always runs. The random mask runs with FIA."""
    world: OmitArgPrefixes[World] = field(default_factory=World)
    drawing: OmitArgPrefixes[Drawing] = field(default_factory=lambda: Drawing(25, GUIDANCE_SCALE))
    weights: Folder = FOLDER
    """Folder that `fia testbed train` wrote; the weights of the package by default."""
    json: Json = False

    def run(self) -> None:
        tasks = {task.name: task for task in TASKS[: QUICK_TASKS if self.quick and not self.tasks else None]}
        chosen = [_known(name, tasks, "task") for name in self.tasks or tasks]
        names = self.methods or tuple(FOR_FEW)
        for name in names:
            _known(name, FOR_FEW, "method")
        world, drawing = self.world, self.drawing
        if self.quick:
            world = replace(world, images_per_object=6, images_per_other=1)
            drawing = replace(drawing, num_inference_steps=20)
        scores, costs = Bench(self.out, world, drawing, self.weights).run(
            chosen, lambda task: {name: method for name, method in methods_for(task).items() if name in names}
        )
        if not processes().is_main_process:
            return
        if self.json:
            print(json.dumps({"tasks": scores, "costs": costs}, indent=2))
        else:
            print(f"\n{text(scores, costs)}\n\nEverything is in {self.out}")


def _known(name: str, known: Mapping[str, Known], kind: str) -> Known:
    if name not in known:
        raise UsageError(f"There is no {kind} {name!r}; give one of: {', '.join(known)}.")
    return known[name]
