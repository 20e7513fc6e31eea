"""docs/other-parts.md is true: every row is run, and its table is the one of the cases."""

import pytest
from diffusers import AutoPipelineForText2Image
from other_parts import (
    CASES,
    FAST,
    FIND_IN_PLAIN,
    PAGE,
    Case,
    draw,
    plain_mask,
    table,
    tiny_sd,
    what_applying_does,
    what_finding_does,
)

import fia

# diffusers warns of parts that it means to drop, and of how it loads them.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.usefixtures("any_types"),  # quantised layers are of no type that the annotations allow
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.part)
def test_a_mask_is_applied_as_the_page_says(case: Case) -> None:
    assert what_applying_does(case) == case.applied


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.part)
def test_neurons_are_found_as_the_page_says(case: Case) -> None:
    assert what_finding_does(case) == case.found


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.advice.startswith(FIND_IN_PLAIN)], ids=lambda case: case.part
)
def test_the_way_round_for_pipelines_that_take_images(case: Case) -> None:
    plain = AutoPipelineForText2Image.from_pipe(case.prepare(case.base()), controlnet=None)
    found = fia.find(plain, "tench", **FAST | {"spatial_ratio": 0.2})
    assert found.fingerprint == plain_mask(case.base).fingerprint


def test_the_page_has_the_table_of_the_cases() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "run python tests/other_parts.py"


def test_a_wrong_row_would_be_found() -> None:
    """A part that does nothing is not "in effect"; one that hides the mask is an error."""
    assert what_finding_does(Case("nothing", lambda pipe: pipe, "works", "finds the same", "")) == "finds the same"
    picture = draw(tiny_sd(), Case("", lambda pipe: pipe, "", "", ""))

    def hide(pipe):
        pipe.__class__ = type("Hides", (type(pipe),), {"__call__": lambda *_, **__: type("", (), {"images": picture})})
        return pipe

    with pytest.raises(AssertionError):
        what_applying_does(Case("a part that hides the mask", hide, "works", "", ""))
