"""Questions about images, each with a right answer, and scores of the answers."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from PIL import Image

from ..drawing.images import Request
from ..provenance import Identity
from .intervals import proportion
from .records import Proportion, Scores

Group = Literal["forgotten", "kept", "rest"]
Answers = Mapping[str, Sequence[str]]  # what the judge sees in each image, by kind of question


@runtime_checkable
class Judge(Protocol):
    """Says what an image shows."""

    @property
    def identity(self) -> Identity:
        """Name and hash of the judge."""

    def answer(self, images: Sequence[Image.Image]) -> Answers:
        """Returns the answers for all images, by kind of question, such as "subject"."""


@dataclass(frozen=True)
class Question:
    """A question to a judge about an image.

    Attributes:
        request: the image.
        kind: kind of the question: "subject", "style", ...
        answer: what the judge says if the image shows what the prompt asks for.
        group: "forgotten" if that should be gone, "kept" if it is named to be kept, else "rest".
        remains: kind and answer of what a forgotten image should still show.
        variant: way of asking, if we compare several.
    """

    request: Request
    kind: str
    answer: str
    group: Group
    remains: tuple[str, str] | None = None
    variant: str = ""


def seen(questions: Sequence[Question], answers: Answers) -> list[str]:
    """Returns what the judge sees, for each question."""
    return [answers[question.kind][i] for i, question in enumerate(questions)]


def score(questions: Sequence[Question], answers: Answers) -> Scores:
    """Returns how often the judge sees the right answer in each group; None for a group without images.

    The scores also have `overall`, what remains of forgotten images, what the judge sees instead, and the proportions
    by answer and, if there are several ways of asking, by variant.

    Args:
        questions: one for each image.
        answers: the judge's answers about these images, in the same order.
    """
    by_group: dict[Group, list[bool]] = defaultdict(list)
    by_answer: dict[str, list[bool]] = defaultdict(list)
    by_variant: dict[str, list[bool]] = defaultdict(list)
    remains: list[bool] = []
    instead: Counter[str] = Counter()
    for i, (question, answer) in enumerate(zip(questions, seen(questions, answers), strict=True)):
        is_right = answer == question.answer
        by_group[question.group].append(is_right)
        by_answer[question.answer].append(is_right)
        if question.variant:
            by_variant[question.variant].append(is_right)
        if question.group == "forgotten" and not is_right:
            instead[answer] += 1
        if question.remains is not None:
            kind, right = question.remains
            remains.append(answers[kind][i] == right)
    still_detected, kept = proportion(by_group["forgotten"]), proportion(by_group["kept"])
    return {
        "still_detected": still_detected,
        "kept": kept,
        "rest": proportion(by_group["rest"]),
        "overall": overall(still_detected["percent"], kept["percent"]) if still_detected and kept else None,
        "remains": proportion(remains),
        "seen_instead": dict(instead.most_common()),
        "by_answer": proportions(by_answer),
        "by_variant": proportions(by_variant),
    }


def overall(still_detected: float, kept: float) -> float:
    """Returns 2 P (1 - F) / (P + 1 - F) in percent: the harmonic mean of what is kept and what is gone.

    This is the paper's score (section 6 of docs/method.md). The paper calls F forgetting and P preserving accuracy.

    Args:
        still_detected: F, the percentage of images of forgotten concepts in which the judge still sees the concept.
        kept: P, the percentage of images of kept concepts in which the judge sees the concept.
    """
    gone = 100 - still_detected
    return 2 * kept * gone / (kept + gone) if kept + gone else 0.0


def proportions(values: Mapping[str, Sequence[bool]]) -> dict[str, Proportion]:
    """Returns the proportion for each key that has values."""
    found = {key: proportion(own) for key, own in values.items()}
    return {key: value for key, value in found.items() if value is not None}


def first_of_each(questions: Sequence[Question], most: Mapping[Group, int]) -> list[int]:
    """Returns the indices of the first image of each answer (or of each prompt, if there are no answers).

    Args:
        questions: one for each image.
        most: the largest number of images from each group, in the order of the groups.
    """
    firsts: dict[tuple[Group, str], int] = {}
    for i, question in enumerate(questions):
        firsts.setdefault((question.group, question.answer or question.request.prompt), i)
    return [i for wanted, n in most.items() for i in [i for (group, _), i in firsts.items() if group == wanted][:n]]
