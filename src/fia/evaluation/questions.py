"""Questions about images that have a right answer, and what the answers say of an edit."""

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
Answers = Mapping[str, Sequence[str]]  # for each kind of question, what is seen in each image


@runtime_checkable
class Judge(Protocol):
    """Says what it sees."""

    @property
    def identity(self) -> Identity:
        """Which judge it is."""

    def answer(self, images: Sequence[Image.Image]) -> Answers:
        """Returns for each kind of question, such as "subject", the answer for each image."""


@dataclass(frozen=True)
class Question:
    """What a judge is asked about an image.

    Attributes:
        request: the image.
        kind: of the question: "subject", "style", ...
        answer: what the judge says if that which the prompt asks for is there.
        group: whether that should be gone, is named to be kept, or is anything else.
        remains: for a forgotten image, kind and answer of what should be there all the same.
        variant: the way of asking, if several are compared.
    """

    request: Request
    kind: str
    answer: str
    group: Group
    remains: tuple[str, str] | None = None
    variant: str = ""


def seen(questions: Sequence[Question], answers: Answers) -> list[str]:
    """Returns for each question what the judge sees instead of, or as, the right answer."""
    return [answers[question.kind][i] for i, question in enumerate(questions)]


def score(questions: Sequence[Question], answers: Answers) -> Scores:
    """Returns how often the judge sees the right answer in each group; None for a group without images.

    Beside the groups: `overall` of what is still detected and what is kept, what remains of forgotten images, what is
    seen instead, and the proportions by answer and, if there are several ways of asking, by variant.

    Args:
        questions: one for each image.
        answers: of the judge, about these images in this order.
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

    The paper's score (section 6 of docs/method.md), which calls F forgetting and P preserving accuracy.

    Args:
        still_detected: F, percent of images of forgotten classes in which they are still detected.
        kept: P, percent of images of kept classes in which they are detected.
    """
    gone = 100 - still_detected
    return 2 * kept * gone / (kept + gone) if kept + gone else 0.0


def proportions(values: Mapping[str, Sequence[bool]]) -> dict[str, Proportion]:
    """Returns the proportion of each key's values, of which there are some."""
    found = {key: proportion(own) for key, own in values.items()}
    return {key: value for key, value in found.items() if value is not None}


def first_of_each(questions: Sequence[Question], most: Mapping[Group, int]) -> list[int]:
    """Returns the indices of the first image of each answer (of each prompt, if there are no answers).

    Args:
        questions: of the images.
        most: how many of each group at most; group after group.
    """
    firsts: dict[tuple[Group, str], int] = {}
    for i, question in enumerate(questions):
        firsts.setdefault((question.group, question.answer or question.request.prompt), i)
    return [i for wanted, n in most.items() for i in [i for (group, _), i in firsts.items() if group == wanted][:n]]
