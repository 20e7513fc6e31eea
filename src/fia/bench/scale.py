"""More and more concepts at once, on the large world: from one object to a hundred of its 120.

Besides what is gone and what stays, it asks harder questions. Of two subjects in one picture, one of them forgotten:
does the other stay? And is a thing left alone whose name shares a word with a forgotten one (church bell)?
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import torch
from PIL import Image

from ..concepts import Concept
from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..evaluation.intervals import proportion
from ..evaluation.questions import Question, score
from ..evaluation.records import Scores
from ..prompts import fill
from ..testbed.classifier import NOTHING
from ..testbed.large import LARGE
from ..testbed.pretrained import catalogue_of
from ..testbed.world import IMAGENETTE
from .report import LEGEND
from .run import Bench, WorldTask
from .tasks import BenchTask

NUMBERS = (1, 10, 30, 50, 100)  # of objects that are forgotten together
SHARING = {"church bell": "church", "golf player": "golf ball"}  # objects that share a word with another, and that one
FIRST = ("church", "golf ball", *IMAGENETTE)
ALONE = "a photo of {subject} in a {place}"
BOTH = "a photo of {subject} and {second} near a {place}"
TWO, SHARED = "two subjects", "shared word"  # variants of the questions


@dataclass(frozen=True)
class ScaleWorld:
    """How much of the large world to generate.

    Attributes:
        forgotten: images of the forgotten objects, together; at least one of each.
        others: images of what is named to be kept, and as many of what nobody lists.
        pairs: images of two subjects.
        sharing: images of each object whose name shares a word with a forgotten one.
        template: template of the prompts of single subjects, with the slots {subject} and {place}.
        seed: seed of the first image; the others count up from it.
    """

    forgotten: int = 200
    others: int = 100
    pairs: int = 100
    sharing: int = 10
    template: str = ALONE
    seed: int = 2000


def objects_in_order() -> tuple[str, ...]:
    """Returns all objects in the order in which the tasks forget them. The last twenty are never forgotten."""
    names = [thing.name for thing in LARGE.objects if thing.name not in FIRST]
    spared = {*SHARING, *names[5::6]}
    spared = {name for name in names if name in spared}
    first = list(dict.fromkeys(FIRST))
    rest = [name for name in names if name not in spared]
    return (*first, *rest, *(name for name in names if name in spared))


def scale_task(number: int) -> BenchTask:
    """Returns the task to forget the first `number` objects. Every second of the others is named to be kept."""
    names = objects_in_order()
    concepts = tuple(Concept(name) for name in names[:number])
    plural = "s" if number > 1 else ""
    kept = tuple(name for name in names[number::2] if name not in SHARING)
    return BenchTask(f"forget {number} object{plural}", concepts, kept)


SCALE_TASKS = tuple(map(scale_task, NUMBERS))


def unlisted(task: BenchTask) -> tuple[str, ...]:
    """Returns the objects and named persons that a task neither forgets nor names, without those of shared words."""
    listed = {*(concept.name for concept in task.concepts), *task.keep, *_sharing(task)}
    names = [thing.name for thing in LARGE.objects] + [person.name for person in LARGE.named_persons]
    return tuple(name for name in names if name not in listed)


def _sharing(task: BenchTask) -> list[str]:
    """Returns the objects whose name shares a word with a forgotten one, and which are not forgotten themselves."""
    forgotten = {concept.name for concept in task.concepts}
    return [name for name, inner in SHARING.items() if inner in forgotten and name not in forgotten]


def ask(task: BenchTask, world: ScaleWorld) -> list[Question]:
    """Returns the questions about a task: the forgotten, the kept, the unlisted, two subjects, and shared words."""
    places, seeds = cycle(LARGE.place_names), iter(range(world.seed, world.seed + 100_000))
    phrases = {subject.name: subject.phrase(subject.name) for subject in LARGE.subjects}
    forgotten = [concept.name for concept in task.concepts]
    sharing = _sharing(task)
    others = unlisted(task)
    questions: list[Question] = []

    def alone(name: str) -> tuple[Request, str]:
        place = next(places)
        return Request(fill(world.template, subject=phrases[name], place=place), next(seeds)), place

    for name in _in_turn(forgotten, max(world.forgotten, len(forgotten))):
        request, place = alone(name)
        questions.append(Question(request, "subject", name, "forgotten", ("place", place)))
    for name in _in_turn(task.keep, world.others):
        questions.append(Question(alone(name)[0], "subject", name, "kept"))
    for name in _in_turn(others, world.others):
        questions.append(Question(alone(name)[0], "subject", name, "rest"))
    for name in sharing * world.sharing:
        questions.append(Question(alone(name)[0], "subject", name, "rest", variant=SHARED))
    pairs = zip(_in_turn(forgotten, world.pairs), cycle(others), strict=False)
    for i, (name, other) in enumerate(pairs):
        first, second = (name, other) if i % 2 else (other, name)
        prompt = fill(BOTH, subject=phrases[first], second=phrases[second], place=next(places))
        request = Request(prompt, next(seeds))
        questions.append(Question(request, "subject", name, "forgotten", ("subject", other), TWO))
    return questions


def _in_turn(names: Sequence[str], number: int) -> Iterator[str]:
    """Yields `number` names in turn."""
    return islice(cycle(names), number)


SCALE_LEGEND = (
    "Of two: images of a forgotten object beside one that nobody listed, in which the judge still sees the forgotten "
    "one, and in which it sees the other. Shared word: images of a church bell and of a golf player, once the church "
    "and the golf ball are forgotten. " + LEGEND
)


class ScaleTask(WorldTask):
    """The questions of `ask`, and the scores of the harder ones beside those of `WorldTask`."""

    def score(self, images: Sequence[Image.Image]) -> Scores:
        """Returns the scores of single subjects by group, of two subjects, and of shared words."""
        answers = self.judge.answer(images)
        chosen = {kind: [i for i, q in enumerate(self.questions) if q.variant == kind] for kind in ("", TWO, SHARED)}
        plain = [self.questions[i] for i in chosen[""]]
        seen = {head: [own[i] for i in chosen[""]] for head, own in answers.items()}
        gone = [i for i in chosen[""] if self.questions[i].group == "forgotten"]
        both = {i: {answers["subject"][i], answers["second"][i]} for i in chosen[TWO]}
        right = [answers["subject"][i] == self.questions[i].answer for i in chosen[SHARED]]
        return {
            **score(plain, seen),
            "empty": proportion([answers["subject"][i] == NOTHING for i in gone]),
            "still_of_two": proportion([self.questions[i].answer in names for i, names in both.items()]),
            "other_of_two": proportion([(self.questions[i].remains or ("", ""))[1] in both[i] for i in both]),
            "shared_word": proportion(right),
        }


class ScaleBench(Bench):
    """The benchmark on the large world."""

    def __init__(self, out: Path, world: ScaleWorld, drawing: Drawing, weights: Path) -> None:
        """Loads the model and the judge.

        Raises:
            ValueError: if the model in `weights` does not know the large world.
        """
        if catalogue_of(weights) is not LARGE:
            raise UsageError(
                f"weights={weights} do not know the large world. Give --weights testbed-large, a folder of the "
                "repository, or train it: fia testbed train --world large --out runs/large."
            )
        super().__init__(out, world, drawing, weights)
        self.pipe.unet.to(memory_format=torch.channels_last)  # in which a CPU is faster

    def legend(self) -> str:
        return SCALE_LEGEND

    def questions_about(self, task: BenchTask) -> WorldTask:
        assert isinstance(self.world, ScaleWorld)
        return ScaleTask(task.name, ask(task, self.world), self.judge, self.network)
