"""The picture that people look at first: the same prompts and seeds, row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

INK, QUIET, GONE, KEPT = "#1b1f24", "#6a737d", "#c0392b", "#1e7e46"
TILE, GAP, LEFT, ANSWER, HEADING = 112, 8, 118, 20, 36  # pixels


@dataclass(frozen=True)
class Column:
    """One prompt of the figure.

    Attributes:
        label: stands above it.
        images: one for each row.
        answers: what a judge saw in each of them; empty where nobody was asked.
        heading: joins neighbouring columns under one line: "forgotten", "kept", or empty for none.
    """

    label: str
    images: Sequence[Image.Image]
    answers: Sequence[str] = ()
    heading: str = ""


@dataclass(frozen=True)
class Cell:
    """One image of a contact sheet.

    Attributes:
        image: it.
        label: stands below it.
        is_wrong: whether a judge saw something else in it; the label is red then.
    """

    image: Image.Image
    label: str
    is_wrong: bool = False


def comparison_figure(columns: Sequence[Column], rows: Sequence[str]) -> Image.Image:
    """Returns a picture with one column for each prompt and one row for each state of the model.

    Below each image stands what the judge saw: green where it is the column's label, grey where it is not.

    Args:
        columns: with as many images, and answers if any, as there are rows; those of one heading side by side.
        rows: their names.
    """
    has_answers, has_headings = any(c.answers for c in columns), any(c.heading for c in columns)
    head, row_height = (64 if has_headings else 32), TILE + GAP + (ANSWER if has_answers else 0)
    lefts: list[int] = []
    for i, column in enumerate(columns):
        is_new_group = i > 0 and column.heading != columns[i - 1].heading
        lefts.append(lefts[-1] + TILE + GAP + (2 * GAP if is_new_group else 0) if i else LEFT)
    picture = Image.new("RGB", (lefts[-1] + TILE + GAP, head + len(rows) * row_height + GAP), "white")
    draw = ImageDraw.Draw(picture)
    for heading in dict.fromkeys(column.heading for column in columns if column.heading):
        members = [left for left, column in zip(lefts, columns, strict=True) if column.heading == heading]
        start, stop = members[0], members[-1] + TILE
        colour = GONE if heading == "forgotten" else KEPT
        draw.text(((start + stop) / 2, 16), heading, fill=colour, font=_font(17), anchor="mm")
        draw.line((start, 29, stop, 29), fill=colour, width=2)
    for r, name in enumerate(rows):
        middle = (LEFT - 12, head + r * row_height + TILE / 2)
        draw.multiline_text(middle, name, fill=INK, font=_font(15), anchor="rm", align="right")
    for left, column in zip(lefts, columns, strict=True):
        _fitted(draw, (left + TILE / 2, head - 18), column.label, INK, 14)
        for r, image in enumerate(column.images):
            top = head + r * row_height
            picture.paste(image.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top))
            if column.answers:
                colour = KEPT if column.answers[r] == column.label else QUIET
                _fitted(draw, (left + TILE / 2, top + TILE + 11), column.answers[r], colour, 13)
    return picture


def contact_sheet(sections: Mapping[str, Sequence[Cell]], columns: int) -> Image.Image:
    """Returns labelled images in grids, row after row, one grid under the heading of each section."""
    cell = TILE + GAP + ANSWER
    heights = [HEADING + cell * -(-len(cells) // columns) for cells in sections.values()]
    picture = Image.new("RGB", (columns * (TILE + GAP) + GAP, sum(heights) + GAP), "white")
    draw = ImageDraw.Draw(picture)
    top = 0
    for (heading, cells), height in zip(sections.items(), heights, strict=True):
        draw.text((GAP, top + HEADING / 2 + 2), heading, fill=INK, font=_font(17), anchor="lm")
        for i, shown in enumerate(cells):
            x, y = GAP + i % columns * (TILE + GAP), top + HEADING + i // columns * cell
            picture.paste(shown.image.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y))
            _fitted(draw, (x + TILE / 2, y + TILE + 11), shown.label, GONE if shown.is_wrong else QUIET, 13)
        top += height
    return picture


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(draw: ImageDraw.ImageDraw, centre: tuple[float, float], text: str, colour: str, size: int) -> None:
    """Writes centred text, smaller where it would be wider than a tile."""
    while size > 8 and draw.textlength(text, font=_font(size)) > TILE:
        size -= 1
    draw.text(centre, text, fill=colour, font=_font(size), anchor="mm")
