"""The pages of reports: headings, and values that are missing."""

import pytest
from jinja2 import UndefinedError

from fia.evaluation.pages import fill_page, sentence_case


@pytest.mark.parametrize(
    ("text", "heading"),
    [("objects", "Objects"), ("UnlearnDiffAtk", "UnlearnDiffAtk"), ("quantised, int8", "Quantised, int8"), ("", "")],
)
def test_a_heading_keeps_its_capitals(text: str, heading: str) -> None:
    assert sentence_case(text) == heading


def test_a_page_without_its_content_is_not_filled() -> None:
    with pytest.raises(UndefinedError, match="result"):
        fill_page("report.html")
