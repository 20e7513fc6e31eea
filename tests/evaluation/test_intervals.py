"""Confidence intervals against numbers worked by hand."""

import pytest

from fia.evaluation import intervals
from fia.evaluation.intervals import mean_with_interval, proportion, wilson_interval


@pytest.mark.parametrize(
    ("right", "number", "expected"),
    # By hand for 1 of 2: middle (0.5 + 0.9604) / 2.9207 = 0.5, half 1.96 / 2.9207 * sqrt(0.125 + 0.2401) = 0.4055.
    [(1, 2, (9.45, 90.55)), (0, 40, (0.0, 8.76)), (40, 40, (91.24, 100.0)), (0, 0, (0.0, 100.0))],
)
def test_wilson_intervals(right: int, number: int, expected: tuple[float, float]) -> None:
    assert wilson_interval(right, number) == pytest.approx(expected, abs=0.01)


def test_the_bootstrap_is_about_the_normal_interval_of_many_values() -> None:
    # 500 zeros and 500 ones: mean 0.5, standard error 0.0158, so 0.469 to 0.531; resampling adds about 0.002.
    result = mean_with_interval([0.0, 1.0] * 500)
    assert result is not None
    assert result["mean"] == 0.5
    assert result["number"] == 1000
    assert result["interval"] == pytest.approx([0.469, 0.531], abs=0.003)
    assert mean_with_interval([0.0, 1.0] * 500) == result


def test_the_bootstrap_of_equal_values_and_of_none() -> None:
    assert mean_with_interval([3.0, 3.0]) == {"mean": 3.0, "interval": [3.0, 3.0], "number": 2}
    assert mean_with_interval([]) is None


def test_the_bootstrap_does_not_depend_on_how_much_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [0.1 * i for i in range(30)]
    whole = mean_with_interval(values)
    monkeypatch.setattr(intervals, "AT_ONCE", 30 * 999)  # 999, 999 and 2 resamples at a time
    assert mean_with_interval(values) == whole


def test_a_proportion_counts_and_is_none_of_nothing() -> None:
    assert proportion([True, False, False]) == {"percent": 33.33, "interval": [6.15, 79.23], "right": 1, "number": 3}
    assert proportion([]) is None
