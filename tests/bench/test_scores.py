"""What the judge's answers are worth, worked by hand."""

import pytest

from fia.bench.scores import score, share
from fia.bench.tasks import FORGOTTEN, KEPT, Picture, Question
from fia.testbed.judge import Answers


def question(number: int, head: str, answer: str, group: str, subject: str = "cat") -> Question:
    return Question(Picture(number, "", subject, "beach"), head, answer, group)


def test_worked_example() -> None:
    questions = [
        question(0, "subject", "church", FORGOTTEN, "church"),  # gone, the place still there
        question(1, "subject", "church", FORGOTTEN, "church"),  # still seen, in the wrong place
        question(2, "style", "Lumenza", FORGOTTEN),  # gone, its subject still there
        question(3, "attribute", "smoking", FORGOTTEN, "man"),  # gone, with the man
        question(4, "subject", "cat", KEPT),
        question(5, "subject", "cat", KEPT),
    ]
    answers = Answers(
        ["none", "church", "cat", "woman", "cat", "dog"],
        ["beach", "sea", "sea", "sea", "sea", "sea"],
        ["no style"] * 6,
        ["not smoking"] * 6,
    )
    scores = score(questions, answers)
    assert scores["forgetting_accuracy"]["percent"] == 25  # one of four is still seen
    assert scores["remaining_accuracy"]["percent"] == 50
    assert scores["preserving_accuracy"]["percent"] == 50
    assert scores["preserving_accuracy_rest"] is None
    assert scores["overall"] == pytest.approx(60)  # 2 * 50 * 75 / 125
    assert scores["by_answer"]["church"] == share([False, True])


def test_without_anything_kept_there_is_no_overall() -> None:
    answers = Answers(["church"], ["beach"], ["no style"], ["not smoking"])
    scores = score([question(0, "subject", "church", FORGOTTEN, "church")], answers)
    assert scores["overall"] is None
    assert scores["forgetting_accuracy"] == {
        "percent": 100,
        "interval": [pytest.approx(20.65, abs=0.01), 100],
        "right": 1,
        "number": 1,
    }
