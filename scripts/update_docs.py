"""Runs the pages of docs/ and updates the output that they show. Writes the table of recommended settings."""

import argparse
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from documents import read_blocks, refreshed, run_blocks, shown_output
from update_readme import put

from fia import Settings
from fia.files import written_whole
from fia.recommended import REWRITTEN, ZEROED_CASES, Case

DOCS = Path(__file__).parent.parent / "docs"


def recommended_table() -> str:
    """Returns a Markdown table of the recommended settings for each model and case."""
    tables = ((REWRITTEN, Settings(edit="rewrite")), (ZEROED_CASES, Settings(edit="zero")))
    rows = [
        row
        for table, defaults in tables
        for row in (
            *((f"`{model}`", case) for model, cases in table.items() for case in cases),
            ("any other", Case("anything", lambda _: True, defaults)),
        )
    ]
    lines = [
        "| model | edit | forgotten together | r2 | r2 of its own | alpha | mu | prompts x seeds | "
        "guidance while finding |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model, case in rows:
        given = case.settings.agnostic_ratio
        settings = case.settings.resolved(0.6)
        paper = "0.6; 0.8 if all are styles" if settings.is_zero and given is None else ""
        cells = (
            model,
            str(settings.edit),
            case.name,
            f"{100 * (settings.spatial_ratio or 0):g} %",
            ", ".join(f"{name} {100 * ratio:g} %" for name, ratio in case.spatial_ratios.items()),
            paper or f"{settings.agnostic_ratio:g}",
            "" if settings.is_zero else f"{settings.retain_weight:g}",
            f"{settings.prompts_per_concept} x {settings.seeds_per_prompt}",
            f"{settings.guidance_scale:g}" if settings.guidance_scale > 1 else "none",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def update(page: Path) -> None:
    """Runs a page that shows output, and updates the output."""
    blocks = read_blocks(page)
    shown = shown_output(blocks)
    if not shown:
        return
    print(f"Running {page.name}")
    printed = dict(run_blocks(blocks))
    text = page.read_text(encoding="utf-8")
    for block, source in reversed(shown.items()):  # from the end, so that earlier positions stay valid
        text = text[: block.start] + refreshed(block.text, printed[source]) + text[block.stop :]
    with written_whole(page) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    put(recommended_table(), "recommended", DOCS / "recommended.md")
    for page in sorted(DOCS.glob("*.md")):
        with TemporaryDirectory() as folder, chdir(folder):
            update(page)
