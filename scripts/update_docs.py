"""Runs the pages of docs/ and updates the output that they show. Writes the table of recommended settings."""

from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from documents import read_blocks, refreshed, run_blocks, shown_output
from update_readme import put

from fia import Settings
from fia.files import written_whole
from fia.recommended import CASES, Case

DOCS = Path(__file__).parent.parent / "docs"


def recommended_table() -> str:
    """Returns a Markdown table of the recommended settings for each model and case."""
    defaults = Case("anything", lambda _: True, Settings())
    rows = [(f"`{model}`", case) for model, cases in CASES.items() for case in cases]
    lines = [
        "| model | forgotten together | r2 | r2 of its own | alpha | prompts x seeds | guidance while finding |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, case in [*rows, ("any other", defaults)]:
        settings = case.settings
        alpha = "0.6; 0.8 if all are styles" if settings.agnostic_ratio is None else f"{settings.agnostic_ratio:g}"
        cells = (
            model,
            case.name,
            f"{100 * settings.spatial_ratio:g} %",
            ", ".join(f"{name} {100 * ratio:g} %" for name, ratio in case.spatial_ratios.items()),
            alpha,
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
    put(recommended_table(), "recommended", DOCS / "recommended.md")
    for page in sorted(DOCS.glob("*.md")):
        with TemporaryDirectory() as folder, chdir(folder):
            update(page)
