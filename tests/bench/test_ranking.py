"""The standings, worked by hand."""

import pytest

from fia.bench.edit_store import OURS
from fia.bench.ranking import overall_table, ranking_table, ranking_text, score_of, standings
from fia.evaluation.intervals import proportion
from fia.evaluation.records import Scores


def row(still: int, kept: int | None, rest: int | None) -> Scores:
    """Returns scores with shares of ten images."""
    found = [None if n is None else proportion([i < n for i in range(10)]) for n in (still, kept, rest)]
    return {"still_detected": found[0], "kept": found[1], "rest": found[2]}  # type: ignore[typeddict-item]


def test_the_score_is_overall_or_that_of_what_nobody_listed_or_what_is_gone() -> None:
    assert score_of(row(2, 6, 10)) == pytest.approx(2 * 60 * 80 / 140)
    assert score_of(row(2, None, 6)) == pytest.approx(2 * 60 * 80 / 140)
    assert score_of(row(2, None, None)) == 80


SCORES = {
    "won": {"untouched": row(10, 10, 10), OURS: row(0, 10, 10), "UCE": row(0, 10, 5), "RECE": row(1, 10, 5)},
    "lost": {OURS: row(2, 10, 10), "UCE": row(0, 10, 5), "random mask": row(0, 10, 10)},
    "alone": {OURS: row(2, 10, 10)},
}


def test_the_worst_comes_first_and_controls_do_not_count() -> None:
    lost, won = standings(SCORES)
    assert (lost.task, lost.place, lost.number, lost.rivals) == ("lost", 2, 2, (("UCE", 100.0),))
    assert lost.ahead == pytest.approx(88.9 - 100)
    assert (won.task, won.place, won.ahead) == ("won", 1, 0)
    assert [name for name, _ in won.rivals] == ["UCE", "RECE"]


def test_the_tables_show_them() -> None:
    assert "| lost | 2 of 2 | 88.9 | -11.1 | UCE 100.0 |" in ranking_table(SCORES)
    assert "88.9   -11.1   UCE 100.0" in ranking_text(SCORES)
    assert ranking_text({"alone": SCORES["alone"]}) == ""


def test_the_whole_table_has_the_best_in_bold_and_no_control() -> None:
    lines = overall_table(SCORES).splitlines()
    assert lines[0] == f"| score | {OURS} | UCE | RECE |"
    assert lines[2:] == [
        "| won | **100.0** | **100.0** | 94.7 |",
        "| lost | 88.9 | **100.0** |  |",
        "| alone | **88.9** |  |  |",
    ]
