"""What the judge's answers are worth, worked by hand."""

import pytest

from fia.drawing.images import Request
from fia.evaluation.intervals import proportion
from fia.evaluation.questions import Group, Question, first_of_each, overall, score, seen


def question(kind: str, answer: str, group: Group, remains: tuple[str, str] | None = None) -> Question:
    return Question(Request("", 0), kind, answer, group, remains)


QUESTIONS = [
    question("subject", "church", "forgotten", ("place", "beach")),  # gone, the place still there
    question("subject", "church", "forgotten", ("place", "beach")),  # still detected, in the wrong place
    question("style", "Lumenza", "forgotten", ("subject", "cat")),  # gone, its subject still there
    question("attribute", "smoking", "forgotten", ("subject", "man")),  # gone, with the man
    question("subject", "cat", "kept"),
    question("subject", "cat", "kept"),
]
ANSWERS = {
    "subject": ["none", "church", "cat", "woman", "cat", "dog"],
    "place": ["beach", "sea", "sea", "sea", "sea", "sea"],
    "style": ["no style"] * 6,
    "attribute": ["not smoking"] * 6,
}


def test_worked_example() -> None:
    scores = score(QUESTIONS, ANSWERS)
    assert scores["still_detected"]["percent"] == 25  # one of four
    assert scores["remains"]["percent"] == 50
    assert scores["kept"]["percent"] == 50
    assert scores["rest"] is None
    assert scores["overall"] == pytest.approx(60)  # 2 * 50 * 75 / 125
    assert scores["by_answer"]["church"] == proportion([False, True])
    assert scores["by_variant"] == {}
    assert scores["seen_instead"] == {"none": 1, "no style": 1, "not smoking": 1}


def test_what_is_seen_is_what_was_asked_about() -> None:
    assert seen(QUESTIONS, ANSWERS) == ["none", "church", "no style", "not smoking", "cat", "dog"]


def test_without_anything_kept_there_is_no_overall() -> None:
    scores = score(QUESTIONS[:1], {"subject": ["church"], "place": ["beach"]})
    assert scores["overall"] is None
    interval = [pytest.approx(20.65, abs=0.01), 100]
    assert scores["still_detected"] == {"percent": 100, "interval": interval, "right": 1, "number": 1}


def test_without_images_there_are_no_scores() -> None:
    scores = score([], {})
    assert {scores[key] for key in ("still_detected", "kept", "rest", "overall", "remains")} == {None}


def test_as_many_answers_as_questions_are_needed() -> None:
    with pytest.raises(IndexError, match="out of range"):
        score(QUESTIONS, {kind: answers[:-1] for kind, answers in ANSWERS.items()})


@pytest.mark.parametrize(
    ("still_detected", "kept", "expected"),
    [(2.1, 76.7, 86.0), (2.7, 52.4, 68.1), (5.5, 71.9, 81.7), (48.9, 76.9, 61.4)],  # the paper's rows, to 0.1
)
def test_overall_is_the_papers(still_detected: float, kept: float, expected: float) -> None:
    assert overall(still_detected, kept) == pytest.approx(expected, abs=0.06)


def test_overall_of_nothing_kept_and_nothing_gone_is_zero() -> None:
    assert overall(100, 0) == 0


def test_variants_are_counted_apart() -> None:
    questions = [Question(Request("", 0), "subject", "church", "forgotten", variant=v) for v in ("plural", "German")]
    by_variant = score(questions, {"subject": ["church", "none"]})["by_variant"]
    assert {variant: found["percent"] for variant, found in by_variant.items()} == {"plural": 100, "German": 0}


def test_the_first_of_each_answer_group_after_group() -> None:
    assert first_of_each(QUESTIONS, {"kept": 1, "forgotten": 2}) == [4, 0, 2]
