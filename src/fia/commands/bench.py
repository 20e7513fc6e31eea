"""`fia bench`: every method on the embedded model, or the paper's tasks on any other model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, TypeVar, get_args

from tyro.conf import OmitArgPrefixes, Positional, arg

from ..bench.attacks import ATTACKED, IMAGES, QUICK_IMAGES, AttackBench
from ..bench.attacks_report import markdown
from ..bench.chosen_settings import FOR_FEW, methods_for, methods_for_scale
from ..bench.questions import World
from ..bench.report import BenchCosts, BenchScores, text
from ..bench.reproduce import dry_run, report
from ..bench.reproduce.protocols import ProtocolName
from ..bench.reproduce.run import plan_protocol, run_plan
from ..bench.run import Bench, MethodsFor
from ..bench.scale import SCALE_TASKS, ScaleBench, ScaleWorld
from ..bench.scale_report import curves_figure
from ..bench.tasks import TASKS, BenchTask
from ..drawing.images import Drawing
from ..edits.edited import load_edited
from ..errors import UsageError
from ..evaluation.build import Sources
from ..files import check_can_write, written_whole
from ..loading import Runtime
from ..processes import processes
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE
from .arguments import MODEL, Folder, Json, given, optional
from .terminal import told_to_continue

QUICK_TASKS = 2  # the first of TASKS
PAPERS_CLIP = "openai/clip-vit-base-patch32"  # of the authors' code
Known = TypeVar("Known")


@optional(Drawing)
class DrawingFlags:
    """How images are generated. Without a model: 25 steps, at the guidance that suits the embedded model."""


def _sources() -> Sources:
    return Sources(clip=PAPERS_CLIP, most_captions=1000)


@dataclass
class BenchCommand:
    """Compares FIA with other methods, on the embedded model or yours.

    Without a model, it runs every task of the embedded model and writes results.json, costs.json, results.md,
    tradeoff.png, and a picture for each task. With a model, it runs one of the paper's tasks with the paper's judges,
    and report.html sets the result beside the paper's table (docs/reproduce.md). All methods and the controls get the
    same prompts and seeds. If you start it again with the same folder, it continues. Under torchrun (or accelerate
    launch), processes share the images.

    With --scale, it forgets 1, 10, 30, 50 and 100 objects of the large world (docs/evaluation.md), and writes
    curves.png, too. With --attacks, it attacks the same edits instead (docs/attacks.md), and writes
    attacks/attacks.json and attacks/attacks.md. Its tasks are five objects, one style and smoking.

    Examples:
      fia bench --out runs/bench --quick                                  # two tasks, under ten minutes on two cores
      fia bench --out runs/bench                                          # everything; hours on two cores
      fia bench --out runs/styles --tasks "forget all styles" --methods FIA UCE
      fia bench --out runs/scale --scale --weights testbed-large          # the large world; hours on two cores
      fia bench --out runs/bench --attacks                                # the attacks; hours on two cores
      fia bench testbed --task imagenette5 --no-quality --out runs/imagenette5 --dry-run
      fia bench ./my-model --task imagenette10 --captions captions.json --inception inception.pt --out runs/ten
    """

    out: Folder
    """Where to save the results and all images."""
    model: Annotated[Positional[str | None], arg(metavar="MODEL", help=MODEL)] = None
    task: ProtocolName | None = None
    """With a model: the paper's task to run."""
    quality: bool = True
    """With a model: also measure images of captions, which needs --captions and --inception."""
    dry_run: bool = False
    """With a model: only estimate images, passes, time and memory, and write nothing."""
    quick: bool = False
    """Generate fewer images with fewer steps, and run only the tasks to forget five objects and ten objects. With
    --attacks, generate a third of the images, and run only the task to forget five objects. With --scale, only
    generate fewer images."""
    scale: bool = False
    """Forget more and more objects of the large world, whose model --weights must hold: testbed-large of the
    repository, or what fia testbed train --world large writes. The number of images is fixed, and smaller with
    --quick."""
    attacks: bool = False
    """Attack every method's edit instead of measuring it. The images and budgets are fixed."""
    never_knew: Path | None = None
    """With --attacks, a model that never knew the objects, as a further control where objects alone are forgotten: a
    diffusers folder, or a denoiser's file (fia testbed train --without)."""
    tasks: tuple[str, ...] = ()
    """Names of the embedded model's tasks to run; all by default, with --quick the first two."""
    methods: tuple[str, ...] = ()
    """Names of the methods to run; all by default. The untouched model always runs. The random mask runs with FIA."""
    world: World = field(default_factory=World)
    drawing: OmitArgPrefixes[DrawingFlags] = field(default_factory=DrawingFlags)
    weights: Folder = FOLDER
    """Folder that `fia testbed train` wrote; the weights of the package by default."""
    sources: OmitArgPrefixes[Sources] = field(default_factory=_sources)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: Json = False

    def run(self) -> None:
        of_a_model = {"--task": self.task, "--dry-run": self.dry_run, "--no-quality": not self.quality}
        of_a_model |= {"judges and prompts": self.sources != _sources(), "--device": self.runtime != Runtime()}
        embedded = {"--quick": self.quick, "--tasks": self.tasks, "--weights": self.weights != FOLDER}
        embedded |= {"--world": self.world != World(), "--attacks": self.attacks, "--never-knew": self.never_knew}
        embedded |= {"--scale": self.scale}
        wrong = [flag for flag, value in (of_a_model if self.model is None else embedded).items() if value]
        if wrong:
            place = "with a model: fia bench MODEL --task TASK" if self.model is None else "without a model: fia bench"
            raise UsageError(f"{', '.join(wrong)}: such flags go {place}.")
        if self.model is not None:
            self.reproduce(self.model)
        elif self.attacks and self.scale:
            raise UsageError("--attacks and --scale are two benchmarks; give one of them.")
        elif self.attacks:
            self.attack()
        elif self.never_knew is not None:
            raise UsageError("--never-knew has no effect without --attacks; leave it out.")
        elif self.scale:
            self.measure_scale()
        else:
            self.measure()

    def measure_scale(self) -> None:
        """Measures the edits of more and more objects of the large world."""
        if self.world != World():
            raise UsageError("--world has no effect with --scale; leave it out.")
        amount = ScaleWorld(forgotten=40, others=20, pairs=20, sharing=2) if self.quick else ScaleWorld()
        drawing = replace(Drawing(20, GUIDANCE_SCALE), **given(self.drawing))
        with told_to_continue(self.out):
            bench = ScaleBench(self.out, amount, drawing, self.weights)
            scores, costs = bench.run(self.chosen_tasks(SCALE_TASKS), self.chosen_methods())
        if processes().is_main_process:
            with written_whole(self.out / "curves.png") as partial:
                curves_figure(scores, costs).savefig(partial, format="png", dpi=120)
            self.show(scores, costs)

    def measure(self) -> None:
        """Measures the edits of the embedded model's tasks."""
        chosen = self.chosen_tasks(TASKS[: QUICK_TASKS if self.quick and not self.tasks else None])
        methods = self.chosen_methods()
        world, drawing = self.world, replace(Drawing(25, GUIDANCE_SCALE), **given(self.drawing))
        if self.quick:
            world = replace(world, images_per_object=6, images_per_other=1)
            drawing = replace(drawing, num_inference_steps=20)
        with told_to_continue(self.out):
            scores, costs = Bench(self.out, world, drawing, self.weights).run(chosen, methods)
        if processes().is_main_process:
            self.show(scores, costs)

    def show(self, scores: BenchScores, costs: BenchCosts) -> None:
        """Prints all scores and costs."""
        if self.json:
            print(json.dumps({"tasks": scores, "costs": costs}, indent=2))
        else:
            print(f"\n{text(scores, costs)}\n\nEverything is in {self.out}")

    def chosen_tasks(self, tasks: Sequence[BenchTask]) -> list[BenchTask]:
        """Returns the tasks with the names that were given; all if none was."""
        by_name = {task.name: task for task in tasks}
        return [_known(name, by_name, "task") for name in self.tasks or by_name]

    def reproduce(self, model: str) -> None:
        """Runs one of the paper's tasks on a model."""
        if self.task is None:
            raise UsageError(f"Give --task, the paper's task to run: {', '.join(get_args(ProtocolName))}.")
        check_can_write(self.out)
        drawing = Drawing(**given(self.drawing))
        pipe, share = self.runtime.load(model), processes()
        plan = plan_protocol(pipe, self.task, self.sources, drawing, quality=self.quality, methods=self.methods)
        if self.dry_run:
            taken = dry_run.estimate(plan, share.num_processes)
            if share.is_main_process:
                print(json.dumps(asdict(taken), indent=2) if self.json else taken.as_text())
            return
        with told_to_continue(self.out):
            evaluation, result, costs = run_plan(plan, self.out)
        if share.is_main_process:
            report.write_report(plan, evaluation, result, costs)
            message = f"\n{report.text(plan, result)}\n\nThe report is {self.out / 'report.html'}"
            print(json.dumps(result, indent=2) if self.json else message)

    def attack(self) -> None:
        """Attacks the edits of the tasks."""
        tasks = {task.name: task for task in ATTACKED[: 1 if self.quick and not self.tasks else None]}
        chosen = [_known(name, tasks, "task") for name in self.tasks or tasks]
        methods = self.chosen_methods()
        if self.world != World() or given(self.drawing):
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
        settings = methods_for_scale if self.scale else methods_for
        return lambda task: {name: method for name, method in settings(task).items() if name in names}


def _known(name: str, known: Mapping[str, Known], kind: str) -> Known:
    if name not in known:
        raise UsageError(f"There is no {kind} {name!r}; give one of: {', '.join(known)}.")
    return known[name]
