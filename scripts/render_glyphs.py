"""Renders the emoji glyphs of the embedded model's scenes, also of the large world.

The font is not part of this project. Install Debian's `fonts-noto-color-emoji` (or pass the path of a
NotoColorEmoji.ttf with bitmap glyphs) and run `python scripts/render_glyphs.py`. It writes one square RGBA
image for each subject and each attribute into `src/fia/testbed/glyphs/`.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fia.testbed.large import LARGE
from fia.testbed.scenes import GLYPH_FOLDER, GLYPH_SIZE

FONT_SIZE = 109  # the only size of the font's embedded bitmaps


def render_glyph(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Renders one emoji, crops it to its ink and centres it in a square of GLYPH_SIZE pixels."""
    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((10, 10), character, font=font, embedded_color=True)
    ink = canvas.crop(canvas.getbbox())
    square = Image.new("RGBA", (max(ink.size), max(ink.size)), (0, 0, 0, 0))
    square.paste(ink, ((square.width - ink.width) // 2, square.height - ink.height))
    return square.resize((GLYPH_SIZE, GLYPH_SIZE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    font = ImageFont.truetype(parser.parse_args().font, FONT_SIZE)
    Path(GLYPH_FOLDER).mkdir(exist_ok=True)
    for glyph in (*LARGE.subjects, *(attribute.glyph for attribute in LARGE.attributes)):
        render_glyph(glyph.character, font).save(GLYPH_FOLDER / glyph.filename, optimize=True)


if __name__ == "__main__":
    main()
