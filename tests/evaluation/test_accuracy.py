"""The scores against numbers worked by hand and the paper's table."""

import pytest

from fia.evaluation.accuracy import ForgettingScores, overall


@pytest.mark.parametrize(
    ("forgetting", "preserving", "expected"),
    [(2.1, 76.7, 86.0), (2.7, 52.4, 68.1), (5.5, 71.9, 81.7), (48.9, 76.9, 61.4)],  # the paper's rows, to 0.1
)
def test_overall_is_the_papers(forgetting: float, preserving: float, expected: float) -> None:
    assert overall(forgetting, preserving) == pytest.approx(expected, abs=0.06)


def test_overall_of_nothing_kept_and_nothing_gone_is_zero() -> None:
    assert overall(100, 0) == 0


def test_scores_are_split_by_class() -> None:
    asked = ["church"] * 4 + ["tench"] * 2 + ["cat"] * 2
    answered = ["none", "church", "unrecognisable", "tench", "tench", "church", "cat", "cat"]
    scores = ForgettingScores.from_answers(asked, answered, forgotten=["church"], kept=["tench"])
    assert scores.forgetting_accuracy == 25
    assert scores.preserving_accuracy == 50
    assert scores.preserving_accuracy_rest == 100
    assert scores.overall == pytest.approx(60)  # 2 * 50 * 75 / 125


def test_as_many_answers_as_questions_are_needed() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ForgettingScores.from_answers(["church"], [], ["church"], [])
