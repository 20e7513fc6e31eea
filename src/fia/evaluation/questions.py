"""Questions about images that have a right answer, and what the answers say of an edit."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

from ..drawing.images import Request
from ..provenance import Identity
from .accuracy import overall
from .intervals import wilson_interval

Group = Literal["forgotten", "kept", "rest"]
Answers = Mapping[str, Sequence[str]]  # for each kind of question, what is seen in each image

KEYS: dict[Group, str] = {
    "forgotten": "forgetting_accuracy",
    "kept": "preserving_accuracy",
    "rest": "preserving_accuracy_rest",
}


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
        variant: the way of asking, where several are compared.
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


def score(questions: Sequence[Question], answers: Answers) -> dict[str, Any]:
    """Returns the share of right answers in each group, with its 95 % interval; None for a group without questions.

    Beside them: `overall` of the first two; `remaining_accuracy`, how often what should remain of a forgotten image is
    right; `seen_instead`, what the judge sees where that which should be gone is gone, with counts; and the shares by
    answer, and by variant where there are any.

    Args:
        questions: one for each image.
        answers: of the judge, about these images in this order.
    """
    parts: dict[str, dict[str, list[bool]]] = {key: defaultdict(list) for key in ("group", "answer", "variant")}
    remaining: list[bool] = []
    instead: Counter[str] = Counter()
    for i, (question, answer) in enumerate(zip(questions, seen(questions, answers), strict=True)):
        for key, values in parts.items():
            values[getattr(question, key)].append(answer == question.answer)
        if question.group == "forgotten" and answer != question.answer:
            instead[answer] += 1
        if question.remains is not None:
            kind, right = question.remains
            remaining.append(answers[kind][i] == right)
    result: dict[str, Any] = {key: share(parts["group"].get(group, [])) for group, key in KEYS.items()}
    forgetting, preserving = result["forgetting_accuracy"], result["preserving_accuracy"]
    result["overall"] = overall(forgetting["percent"], preserving["percent"]) if forgetting and preserving else None
    result["remaining_accuracy"] = share(remaining)
    result["seen_instead"] = dict(instead.most_common())
    result["by_answer"] = {answer: share(values) for answer, values in parts["answer"].items()}
    result["by_variant"] = {variant: share(values) for variant, values in parts["variant"].items() if variant}
    return result


def first_of_each(questions: Sequence[Question], most: Mapping[Group, int]) -> list[int]:
    """Returns the indices of the first image of each answer (of each prompt, where there are no answers).

    Args:
        questions: of the images.
        most: how many of each group at most; group after group.
    """
    firsts: dict[tuple[Group, str], int] = {}
    for i, question in enumerate(questions):
        firsts.setdefault((question.group, question.answer or question.request.prompt), i)
    return [i for wanted, n in most.items() for i in [i for (group, _), i in firsts.items() if group == wanted][:n]]


def share(values: Sequence[bool]) -> dict[str, Any] | None:
    """Returns how many are true, of how many, in percent and with its interval; None for none."""
    if not values:
        return None
    right, number = sum(values), len(values)
    interval = [round(end, 2) for end in wilson_interval(right, number)]
    return {"percent": round(100 * right / number, 2), "interval": interval, "right": right, "number": number}
