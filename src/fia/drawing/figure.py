"""Pictures made of many images: a comparison of states, and a contact sheet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

INK, QUIET, GONE, KEPT = "#1b1f24", "#6a737d", "#c0392b", "#1e7e46"
TILE, GAP, LEFT, ANSWER, HEADING, LINE = 112, 8, 118, 20, 36, 18  # pixels
TITLE, ANSWER_SIZE, SMALLEST = 14, 13, 10  # font sizes
MOST_LINES = 3  # of a column's title


@dataclass(frozen=True)
class Column:
    """One prompt of the figure.

    Attributes:
        label: text above the column.
        images: one for each row.
        answers: what a judge sees in each image; empty if there is no judge.
        heading: heading that neighbouring columns share: "forgotten", "kept", or empty for none.
    """

    label: str
    images: Sequence[Image.Image]
    answers: Sequence[str] = ()
    heading: str = ""


@dataclass(frozen=True)
class Cell:
    """One image of a contact sheet.

    Attributes:
        image: the image.
        label: text below the image.
        is_wrong: whether a judge sees something else in the image. The label is then red.
    """

    image: Image.Image
    label: str
    is_wrong: bool = False


def comparison_figure(columns: Sequence[Column], rows: Sequence[str]) -> Image.Image:
    """Returns a picture with one column for each prompt and one row for each state of the model.

    The text below each image says what the judge sees. It is grey if that differs from the column's label. If not, it
    is red under the heading "forgotten", and green elsewhere.

    Args:
        columns: the columns. Each has one image for each row, and as many answers or none. Columns with the same
            heading are side by side.
        rows: names of the rows.
    """
    title_size = _size_that_fits([word for column in columns for word in column.label.split()], TITLE)
    titles = [_in_lines(column.label, title_size) for column in columns]
    answer_size = _size_that_fits([answer for column in columns for answer in column.answers], ANSWER_SIZE)
    has_answers, has_headings = any(c.answers for c in columns), any(c.heading for c in columns)
    head = (64 if has_headings else 32) + LINE * (max(title.count("\n") for title in titles))
    row_height = TILE + GAP + (ANSWER if has_answers else 0)
    lefts = _lefts(columns)
    picture = Image.new("RGB", (lefts[-1] + TILE + GAP, head + len(rows) * row_height + GAP), "white")
    draw = ImageDraw.Draw(picture)
    for heading in dict.fromkeys(column.heading for column in columns if column.heading):
        members = [left for left, column in zip(lefts, columns, strict=True) if column.heading == heading]
        start, stop, colour = members[0], members[-1] + TILE, _colour(heading)
        draw.text(((start + stop) / 2, 16), heading, fill=colour, font=_font(17), anchor="mm")
        draw.line((start, 29, stop, 29), fill=colour, width=2)
    for r, name in enumerate(rows):
        middle = (LEFT - 12, head + r * row_height + TILE / 2)
        draw.multiline_text(middle, name, fill=INK, font=_font(15), anchor="rm", align="right")
    for left, column, title in zip(lefts, columns, titles, strict=True):
        bottom = (left + TILE / 2, head - 8)
        draw.multiline_text(bottom, title, fill=INK, font=_font(title_size), anchor="md", align="center", spacing=3)
        for r, image in enumerate(column.images):
            top = head + r * row_height
            picture.paste(image.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top))
            if column.answers:
                colour = _colour(column.heading) if column.answers[r] == column.label else QUIET
                below = (left + TILE / 2, top + TILE + 11)
                draw.text(below, column.answers[r], fill=colour, font=_font(answer_size), anchor="mm")
    return picture


def _lefts(columns: Sequence[Column]) -> list[int]:
    """Returns the left edge of each column, in pixels. The gap between two headings is wider."""
    lefts = [LEFT]
    for before, column in pairwise(columns):
        lefts.append(lefts[-1] + TILE + GAP + (2 * GAP if column.heading != before.heading else 0))
    return lefts


def _colour(heading: str) -> str:
    return GONE if heading == "forgotten" else KEPT


def contact_sheet(sections: Mapping[str, Sequence[Cell]], columns: int) -> Image.Image:
    """Returns a picture of labelled images: one grid for each section, under its heading."""
    grids = {
        heading: [cells[i : i + columns] for i in range(0, len(cells), columns)] for heading, cells in sections.items()
    }
    height = GAP + sum(HEADING + sum(map(_row_height, grid)) for grid in grids.values())
    picture = Image.new("RGB", (columns * (TILE + GAP) + GAP, height), "white")
    draw = ImageDraw.Draw(picture)
    top = 0
    for heading, grid in grids.items():
        draw.text((GAP, top + HEADING / 2 + 2), heading, fill=INK, font=_font(17), anchor="lm")
        top += HEADING
        for row in grid:
            for i, shown in enumerate(row):
                x = GAP + i * (TILE + GAP)
                picture.paste(shown.image.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (x, top))
                text, size = _label(shown)
                below, colour = (x + TILE / 2, top + TILE + 4), GONE if shown.is_wrong else QUIET
                draw.multiline_text(below, text, fill=colour, font=_font(size), anchor="ma", align="center", spacing=3)
            top += _row_height(row)
    return picture


def _label(cell: Cell) -> tuple[str, int]:
    """Returns the label of a cell, in lines if it is wider than a tile in the smallest font, and its font size."""
    if _width(cell.label, SMALLEST) <= TILE:
        return cell.label, _size_that_fits([cell.label], ANSWER_SIZE)
    return _in_lines(cell.label, SMALLEST + 1), SMALLEST + 1


def _row_height(row: Sequence[Cell]) -> int:
    """Returns the height of a row of the contact sheet, which grows with the lines of its labels."""
    lines = max(_label(cell)[0].count("\n") for cell in row)
    return TILE + GAP + ANSWER + lines * (SMALLEST + 4)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


def _size_that_fits(texts: Sequence[str], size: int) -> int:
    """Returns the largest font size, at most `size`, at which every text fits the width of a tile."""
    widest = max(texts, key=lambda text: _width(text, size), default="")
    return next((n for n in range(size, SMALLEST, -1) if _width(widest, n) <= TILE), SMALLEST)


def _in_lines(text: str, size: int) -> str:
    """Returns a text in lines that fit the width of a tile. Cuts what does not fit into MOST_LINES."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer, size) <= TILE or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1]} ..."]
    return "\n".join(lines)
