"""The numbers of an evaluation as people read them, and the colours that they have in the report."""

import pytest

from fia.drawing.figure import GONE, KEPT
from fia.evaluation.charts import bars_figure, tradeoff_figure
from fia.evaluation.intervals import proportion
from fia.evaluation.records import Proportion, Scores
from fia.evaluation.summary import Metric, read, rows, state_table, value_at


def share(*values: bool) -> Proportion:
    found = proportion(values)
    assert found is not None
    return found


SCORES: Scores = {
    "still_detected": share(True, False),
    "kept": share(True),
    "rest": None,
    "overall": 66.6667,
    "by_answer": {"church": share(False), "tench": share(True)},
    "by_variant": {"plural": share(True), "German": share(False)},
    "detections": 3,
}
STATES = {"untouched": SCORES, "masked": SCORES}


def test_a_number_is_read_with_its_interval() -> None:
    assert read(share(True, False)) == "50.0 (9.45 to 90.5)"
    assert read(66.6667) == "66.7"
    assert read(3) == "3"
    assert read(None) == "-"
    assert value_at(SCORES, Metric(("by_variant", "plural"), "")) == share(True)
    assert value_at(SCORES, Metric(("clip_artist", "kept"), "")) is None


def test_only_what_was_measured_has_a_row() -> None:
    found = {metric.path: values for metric, values in rows(STATES)}
    assert list(found) == [
        *(("still_detected",), ("kept",), ("overall",), ("detections",)),
        *(("by_variant", "plural"), ("by_variant", "German")),
    ]
    assert found["kept",] == ["100.0 (20.6 to 100.0)"] * 2
    assert "... asked by German, %" in state_table("objects", STATES)


def test_scores_of_an_older_version_are_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"An older version of fia wrote these scores\. Run the same command again"):
        rows({"untouched": {"forgetting_accuracy": None}})  # type: ignore[typeddict-unknown-key]


def test_bars_are_red_for_what_should_be_gone_and_green_for_what_should_be_kept() -> None:
    both = bars_figure(STATES, "by_answer", {"church": "forgotten", "tench": "kept"})
    variants = bars_figure(STATES, "by_variant", {})
    assert both is not None
    assert variants is not None
    assert GONE in both
    assert KEPT in both
    assert GONE in variants
    assert KEPT not in variants
    assert bars_figure({"untouched": {"by_answer": {"church": share(True)}}}, "by_answer", {}) is None


def test_the_tradeoff_needs_something_to_keep() -> None:
    assert tradeoff_figure(STATES) is not None
    assert tradeoff_figure({"untouched": {"still_detected": share(True), "kept": None}}) is None
