"""The figures: every image lands in its place."""

import numpy as np
from PIL import Image, ImageColor

from fia.drawing.figure import (
    ANSWER,
    GAP,
    GONE,
    HEADING,
    KEPT,
    LEFT,
    LINE,
    QUIET,
    TILE,
    Cell,
    Column,
    comparison_figure,
    contact_sheet,
)

RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")


def test_columns_and_rows_are_where_they_belong() -> None:
    columns = [
        Column("church", [RED, BLUE], ["church", "none"], "forgotten"),
        Column("cat", [BLUE, RED], ["cat", "cat"], "kept"),
    ]
    picture = comparison_figure(columns, ["before", "after"])
    row = TILE + GAP + ANSWER
    middle = TILE // 2
    second = LEFT + TILE + GAP + 2 * GAP
    assert picture.getpixel((LEFT + middle, 64 + middle)) == (255, 0, 0)
    assert picture.getpixel((LEFT + middle, 64 + row + middle)) == (0, 0, 255)
    assert picture.getpixel((second + middle, 64 + middle)) == (0, 0, 255)
    assert picture.getpixel((second + middle, 64 + row + middle)) == (255, 0, 0)


def test_answers_and_headings_may_be_left_out() -> None:
    picture = comparison_figure([Column("a very long prompt " * 6, [RED])], ["before"])
    assert picture.size == (LEFT + TILE + GAP, 32 + 2 * LINE + TILE + GAP + GAP)  # three lines, and no more


def test_titles_have_one_size_and_begin_new_lines() -> None:
    short = comparison_figure([Column("cat", [RED])], ["before"])
    both = comparison_figure([Column("cat", [RED]), Column("a very long prompt for a tile", [RED])], ["before"])
    first = np.asarray(both)[LINE : 32 + LINE, LEFT : LEFT + TILE]  # stands at the bottom of two lines
    assert np.array_equal(first, np.asarray(short)[:32, LEFT : LEFT + TILE])


def test_what_is_still_there_is_red_under_forgotten_and_green_elsewhere() -> None:
    for heading, answer, colour in (
        ("forgotten", "church", GONE),
        ("kept", "church", KEPT),
        ("rest", "church", KEPT),
        ("forgotten", "none", QUIET),
        ("kept", "none", QUIET),
    ):
        picture = comparison_figure([Column("church", [RED], [answer], heading)], ["before"])
        below = picture.crop((LEFT, 64 + TILE, LEFT + TILE, 64 + TILE + ANSWER))
        darkest = min(below.get_flattened_data(), key=sum)
        wanted = ImageColor.getrgb(colour)
        assert max(abs(a - b) for a, b in zip(darkest, wanted, strict=True)) < 40  # thin strokes are never quite solid


def test_a_contact_sheet_fills_row_after_row_under_each_heading() -> None:
    red, blue = Cell(RED, "a"), Cell(BLUE, "b", is_wrong=True)
    picture = contact_sheet({"first": [red, red, blue], "second": [blue]}, columns=2)
    row = TILE + GAP + ANSWER
    second = HEADING + 2 * row  # where the second section begins
    assert picture.size == (2 * (TILE + GAP) + GAP, second + HEADING + row + GAP)
    assert picture.getpixel((GAP + 50, HEADING + 50)) == (255, 0, 0)
    assert picture.getpixel((GAP + 50, HEADING + row + 50)) == (0, 0, 255)
    assert picture.getpixel((GAP + 50, second + HEADING + 50)) == (0, 0, 255)
    assert picture.getpixel((GAP + TILE + GAP + 50, second + HEADING + 50)) == (255, 255, 255)
