"""What the judge's answers say about an edit."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..evaluation.accuracy import overall, wilson_interval
from ..testbed.judge import Answers
from .tasks import FORGOTTEN, KEPT, REST, Question

KEYS = {FORGOTTEN: "forgetting_accuracy", KEPT: "preserving_accuracy", REST: "preserving_accuracy_rest"}


def score(questions: Sequence[Question], answers: Answers) -> dict[str, Any]:
    """Returns the shares of each group that the judge recognises, with 95 % intervals; None for a group without any.

    Beside them: `overall` of the first two; `remaining_accuracy`, how often the rest of a forgotten picture is still
    right (the place of an object; the subject of a style or of the attribute); and every share by what was asked for.

    Args:
        questions: of the task.
        answers: of the judge, about the pictures in the order of the questions.
    """
    groups: dict[str, list[bool]] = defaultdict(list)
    by_answer: dict[str, list[bool]] = defaultdict(list)
    remaining = []
    for i, (question, answer) in enumerate(zip(questions, seen(questions, answers), strict=True)):
        is_seen = answer == question.answer
        groups[question.group].append(is_seen)
        by_answer[question.answer].append(is_seen)
        if question.group == FORGOTTEN:
            picture = question.picture
            of_object = question.head == "subject"
            remaining.append(
                answers.places[i] == picture.place if of_object else answers.subjects[i] == picture.subject
            )
    result: dict[str, Any] = {key: share(groups[group]) for group, key in KEYS.items()}
    forgetting, preserving = result["forgetting_accuracy"], result["preserving_accuracy"]
    result["overall"] = overall(forgetting["percent"], preserving["percent"]) if forgetting and preserving else None
    result["remaining_accuracy"] = share(remaining)
    result["by_answer"] = {answer: share(values) for answer, values in by_answer.items()}
    return result


def seen(questions: Sequence[Question], answers: Answers) -> list[str]:
    """Returns what the judge sees where it is asked."""
    heads = {"subject": answers.subjects, "style": answers.styles, "attribute": answers.attributes}
    return [heads[question.head][i] for i, question in enumerate(questions)]


def share(values: Sequence[bool]) -> dict[str, Any] | None:
    """Returns how many are true, of how many, in percent and with its interval; None for none."""
    if not values:
        return None
    right, number = sum(values), len(values)
    interval = [round(end, 2) for end in wilson_interval(right, number)]
    return {"percent": round(100 * right / number, 2), "interval": interval, "right": right, "number": number}
