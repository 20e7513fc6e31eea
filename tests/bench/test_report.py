"""Tables of results, worked by hand."""

from fia.bench.report import cells, markdown, text, where_they_go
from fia.evaluation.intervals import proportion
from fia.evaluation.records import Scores

SCORES: Scores = {
    "still_detected": proportion([True, False, False, False]),
    "empty": proportion([False, True, False, False]),
    "kept": proportion([True, True]),
    "rest": None,
    "overall": 85.714,
    "remains": proportion([True]),
    "perceptual_distance": {"mean": 0.0214, "interval": [0.01, 0.03], "number": 4},
    "changed_percent": 1.5,
    "seen_instead": {"cat": 1, "none": 1, "unrecognisable": 1},
}


def test_a_row_has_every_number_and_blanks_where_there_is_none() -> None:
    assert cells(SCORES, {"seconds": 12.4, "megabytes": 99.6}) == [
        *("25.0", "25.0", "100.0", "", "85.7"),
        *("", "", ""),
        *("100.0", "0.021", "1.50", "12", "100"),
    ]
    assert cells(SCORES, {})[-2:] == ["", ""]


def test_the_page_shows_the_intervals() -> None:
    assert "| FIA | 25.0 (5-70) | 25.0 (5-70) | 100.0 (34-100) |" in markdown({"": {"FIA": SCORES}}, {"": {"FIA": {}}})


def test_where_forgotten_prompts_go() -> None:
    row = where_they_go({"forget": {"FIA": SCORES}}).splitlines()[-1]
    assert row == "| forget | FIA | 25.0 | 25.0 | 25.0 | 25.0 | cat |"


def test_the_terminal_shows_the_same() -> None:
    shown = text({"forget": {"FIA": SCORES}}, {"forget": {"FIA": {"seconds": 12.4, "megabytes": 99.6}}})
    assert "85.7" in shown
    assert "still detected %" in shown
