"""`fia bench`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tyro.conf import OmitArgPrefixes

from ..bench.attacks import ATTACKED, IMAGES, QUICK_IMAGES, AttackBench
from ..bench.attacks_report import markdown
from ..bench.chosen_settings import FOR_FEW, methods_for
from ..bench.questions import World
from ..bench.report import text
from ..bench.run import Bench, MethodsFor
from ..bench.tasks import TASKS
from ..drawing.images import Drawing
from ..edits.edited import load_edited
from ..errors import UsageError
from ..processes import processes
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE
from .arguments import Folder, Json
from .terminal import told_to_continue

QUICK_TASKS = 2  # the first of TASKS
Known = TypeVar("Known")


@dataclass
class BenchCommand:
    """Compares FIA with other methods on the embedded model.

    All methods and the controls get the same prompts and seeds. The command writes results.json, costs.json,
    results.md, tradeoff.png, and a picture for each task. If you start it again with the same folder, it continues.

    With --attacks, it attacks the same edits instead (docs/attacks.md), and writes attacks/attacks.json and
    attacks/attacks.md. Its tasks are five objects, one style and smoking.

    Examples:
      fia bench --out runs/bench --quick                                  # two tasks, under ten minutes on two cores
      fia bench --out runs/bench                                          # everything; hours on two cores
      fia bench --out runs/styles --tasks "forget all styles" --methods FIA UCE
      fia bench --out runs/bench --attacks                                # the attacks; hours on two cores
    """

    out: Folder
    """Where to save the results and all images."""
    quick: bool = False
    """Generate fewer images with fewer steps, and run only the tasks to forget five objects and ten objects. With
    --attacks, generate a third of the images, and run only the task to forget five objects."""
    attacks: bool = False
    """Attack every method's edit instead of measuring it. The images and budgets are fixed."""
    never_knew: Path | None = None
    """With --attacks, a model that never knew the objects, as a further control where objects alone are forgotten: a
    diffusers folder, or a denoiser's file (fia testbed train --without)."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks to run; all by default, with --quick the first two."""
    methods: tuple[str, ...] = ()
    """Names of the methods to run; all by default. The untouched model always runs. The random mask runs with FIA."""
    world: World = field(default_factory=World)
    drawing: OmitArgPrefixes[Drawing] = field(default_factory=lambda: Drawing(25, GUIDANCE_SCALE))
    weights: Folder = FOLDER
    """Folder that `fia testbed train` wrote; the weights of the package by default."""
    json: Json = False

    def run(self) -> None:
        if self.attacks:
            self.attack()
        elif self.never_knew is not None:
            raise UsageError("--never-knew has no effect without --attacks; leave it out.")
        else:
            self.measure()

    def measure(self) -> None:
        """Measures the edits of the tasks."""
        tasks = {task.name: task for task in TASKS[: QUICK_TASKS if self.quick and not self.tasks else None]}
        chosen = [_known(name, tasks, "task") for name in self.tasks or tasks]
        methods = self.chosen_methods()
        world, drawing = self.world, self.drawing
        if self.quick:
            world = replace(world, images_per_object=6, images_per_other=1)
            drawing = replace(drawing, num_inference_steps=20)
        with told_to_continue(self.out):
            scores, costs = Bench(self.out, world, drawing, self.weights).run(chosen, methods)
        if not processes().is_main_process:
            return
        if self.json:
            print(json.dumps({"tasks": scores, "costs": costs}, indent=2))
        else:
            print(f"\n{text(scores, costs)}\n\nEverything is in {self.out}")

    def attack(self) -> None:
        """Attacks the edits of the tasks."""
        tasks = {task.name: task for task in ATTACKED[: 1 if self.quick and not self.tasks else None]}
        chosen = [_known(name, tasks, "task") for name in self.tasks or tasks]
        methods = self.chosen_methods()
        if self.world != World() or self.drawing != Drawing(25, GUIDANCE_SCALE):
            raise UsageError("--attacks has images of its own; leave out what says how many to generate, and how.")
        never_knew = None if self.never_knew is None else load_edited(self.never_knew)
        with told_to_continue(self.out):
            bench = AttackBench(self.out, QUICK_IMAGES if self.quick else IMAGES, self.weights)
            result = bench.run(chosen, methods, never_knew=never_knew)
        if processes().is_main_process:
            where = f"Everything is in {self.out / 'attacks'}"
            print(json.dumps(result, indent=2) if self.json else f"\n{markdown(result)}\n\n{where}")

    def chosen_methods(self) -> MethodsFor:
        """Returns what gives the chosen methods of a task.

        Raises:
            ValueError: if there is no such method.
        """
        names = self.methods or tuple(FOR_FEW)
        for name in names:
            _known(name, FOR_FEW, "method")
        return lambda task: {name: method for name, method in methods_for(task).items() if name in names}


def _known(name: str, known: Mapping[str, Known], kind: str) -> Known:
    if name not in known:
        raise UsageError(f"There is no {kind} {name!r}; give one of: {', '.join(known)}.")
    return known[name]
