"""Attacks every method of the benchmark with the same small budgets (`fia bench --attacks`).

The edits are those of the benchmark, in the same folder. In its folder `attacks`, attacks.json has the scores, and
attacks.md the tables; both are written after each attack. After an interruption, it continues.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ..attacks.api import NEVER_KNEW
from ..attacks.choice import Attacks
from ..attacks.completion import Completion
from ..attacks.detector import detectors_for
from ..attacks.identity import identify
from ..attacks.image_prompt import ImagePrompt
from ..attacks.inversion import Inversion
from ..attacks.merge import Merge
from ..attacks.mma import MMA
from ..attacks.noise import Noise
from ..attacks.other_words import OtherWords
from ..attacks.p4d import P4D
from ..attacks.quantise import Quantise
from ..attacks.records import AttackScores
from ..attacks.relearning import Benign, Relearn, RelearnHeld, RelearnLora
from ..attacks.ring_a_bell import RingABell
from ..attacks.roots import Roots
from ..attacks.run import AttackRun, Extent, State
from ..attacks.unlearn_diff_atk import UnlearnDiffAtk
from ..drawing.images import Drawing
from ..edits.interface import Edit
from ..evaluation.build import Sources
from ..evaluation.run import RANDOM
from ..files import slug, write_json, written_whole
from ..methods import Method
from ..processes import processes
from ..provenance import Identity, environment, hash_pipeline
from ..testbed.judge import load_judge
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE, load_testbed
from ..testbed.world import IMAGENETTE
from .attacks_report import BenchAttacks, markdown
from .edit_store import OURS, EditStore
from .run import MethodsFor
from .tasks import STYLES, TASKS, BenchTask, objects_task

ATTACKED = (
    objects_task(5),
    BenchTask("forget one style", STYLES[:1], IMAGENETTE),
    next(task for task in TASKS if task.name == "forget smoking"),
)
NOT_ATTACKED = ("negative prompt",)  # changes no weight; whoever draws leaves it out
IMAGES, QUICK_IMAGES = 15, 5  # of a cell, over all concepts of a task
SEED = 3000
DRAWING = Drawing(num_inference_steps=8, guidance_scale=GUIDANCE_SCALE)
BUDGETS = Attacks(
    noise=Noise(tries=4),
    completion=Completion(steps=(2, 4)),
    image_prompt=ImagePrompt(strengths=(0.5, 0.9), pictures=8),
    other_words=OtherWords(words=3),
    quantise=Quantise(bits=(8, 4)),
    merge=Merge(weights=(0.5,)),
    ring_a_bell=RingABell(population=40, generations=40, prompts=3),
    mma=MMA(candidates=64, batch=64, steps=30),
    unlearn_diff_atk=UnlearnDiffAtk(timesteps=2, iterations=10),
    p4d=P4D(iterations=20, draws=2),
    inversion=Inversion(steps=30, batch_size=2, pictures=6),
    roots=Roots(rounds=100),
    relearn_lora=RelearnLora(steps=(15,), pictures=6, learning_rate=1e-3, batch_size=2),
    relearn=Relearn(steps=(15,), pictures=6, learning_rate=1e-4, batch_size=2),
    relearn_held=RelearnHeld(steps=(15,), pictures=6, learning_rate=1e-4, batch_size=2),
    benign=Benign(steps=(15,), pictures=6, learning_rate=1e-4, batch_size=2),
)
CHOSEN = (  # in this order, because an interrupted run has the first of them
    *("completion", "merge", "inversion", "quantise", "relearn-lora", "other-words", "unlearn-diff-atk"),
    *("ring-a-bell", "image-prompt", "noise", "mma", "roots", "relearn", "relearn-held", "benign", "p4d"),
)


class AttackBench:
    """The embedded model, its judge, and the folder of the benchmark."""

    def __init__(self, out: Path, images: int = IMAGES, weights: Path = FOLDER) -> None:
        """Loads the model and the judge from `weights`, a folder that `fia testbed train` wrote.

        Args:
            out: the folder of the benchmark, whose edits are used. The attacks are in `out/attacks`.
            images: images of a cell, over all concepts of a task; at least one of each concept.
            weights: folder of the model and the judge.
        """
        self.out, self.images, self.pipe = out, images, load_testbed(weights)
        self.judge, self.model = load_judge(weights), hash_pipeline(self.pipe)

    def run(
        self,
        tasks: Sequence[BenchTask],
        methods: MethodsFor,
        names: Sequence[str] = CHOSEN,
        budgets: Attacks = BUDGETS,
        never_knew: Edit | None = None,
    ) -> BenchAttacks:
        """Runs what is missing; returns and writes all scores.

        Args:
            tasks: what the methods forget.
            methods: the methods of a task.
            names: the attacks, in their order.
            budgets: the attacks' budgets.
            never_knew: a model that was trained without the objects that are forgotten. It is a control of tasks that
                forget objects alone, because `fia testbed train --without` leaves out nothing else.

        Raises:
            ValueError: if the folder holds results with other settings, prompts, model or versions, or an edit does not
                fit.
        """
        result: BenchAttacks = {
            "drawing": asdict(DRAWING),
            "environment": environment(self.pipe.device),
            "tasks": {},
        }
        for task in tasks:
            extent = Extent(max(1, self.images // len(task.concepts)), SEED)
            run = self.attack_run(task, extent)
            done: list[AttackScores] = []
            names_of_concepts = [concept.name for concept in task.concepts]
            result["tasks"][task.name] = {"concepts": names_of_concepts, "extent": asdict(extent), "attacks": done}
            states = self.states(task, methods(task), never_knew)
            for name in names:
                done += run.run(states, budgets.chosen([name]))
                self.write(result)
        return result

    def attack_run(self, task: BenchTask, extent: Extent) -> AttackRun:
        """Returns the run of a task's attacks."""
        detectors = detectors_for(
            task.concepts, is_embedded=True, sources=Sources(), device=self.pipe.device, judge=self.judge
        )
        model: Identity = {"name": "testbed", "hash": self.model}
        folder = self.out / "attacks" / slug(task.name)
        return AttackRun(folder, self.pipe, model, DRAWING, task.concepts, detectors, extent)

    def states(self, task: BenchTask, methods: Mapping[str, Method], never_knew: Edit | None) -> dict[str, State]:
        """Returns the edits and the controls, by name. It makes the edits that are missing."""
        store = EditStore(self.out / "edits" / slug(task.name), self.pipe, task, methods, self.model)
        names = [name for name in methods if name not in NOT_ATTACKED]
        edits = {name: store.make(name).edit for name in (*names, *([RANDOM] if OURS in methods else []))}
        if never_knew is not None and all(concept.kind == "object" for concept in task.concepts):
            edits[NEVER_KNEW] = never_knew
        return {name: State(edit, {"method": name, **identify(edit)}) for name, edit in edits.items()}

    def write(self, result: BenchAttacks) -> None:
        """Writes the scores and their tables."""
        if processes().is_main_process:
            write_json(self.out / "attacks" / "attacks.json", result)
            with written_whole(self.out / "attacks" / "attacks.md") as partial:
                partial.write_text(f"{markdown(result)}\n", encoding="utf-8")
