"""Runs the pages of docs/ and puts what they print now, number by number, where they show it."""

from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from documents import read_blocks, refreshed, run_blocks, shown_output

from fia.files import written_whole

DOCS = Path(__file__).parent.parent / "docs"


def update(page: Path) -> None:
    """Runs a page if it shows any output, and rewrites it."""
    blocks = read_blocks(page)
    shown = shown_output(blocks)
    if not shown:
        return
    print(f"Running {page.name}")
    printed = dict(run_blocks(blocks))
    text = page.read_text(encoding="utf-8")
    for block, source in reversed(shown.items()):  # from the end, so that positions before stay right
        text = text[: block.start] + refreshed(block.text, printed[source]) + text[block.stop :]
    with written_whole(page) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        with TemporaryDirectory() as folder, chdir(folder):
            update(page)
