"""The documentation is true: its code runs as written, its commands exist, its links lead somewhere."""

import re
import sys
from pathlib import Path

import pytest

from fia.cli import parse

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from documents import command_lines, read_blocks, refreshed, run_blocks, shown_output
from update_docs import recommended_table

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
PAGES += [ROOT / "src/fia/testbed/weights/README.md", *sorted((ROOT / "integrations").glob("*/README.md"))]
# How many blocks of a page are not run, because they need a download, the reader's own model, or hours.
NOT_RUN = {
    "attacks.md": 9,
    "command-line.md": 6,
    "evaluation.md": 3,
    "families.md": 2,
    "install.md": 4,
    "masks.md": 1,
    "own-model.md": 5,
    "reproduce.md": 2,
    "serve.md": 1,
    "transformer.md": 3,
    "use-elsewhere.md": 7,
}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.usefixtures("few_prompts")
@pytest.mark.parametrize("page", [page for page in DOCS if any(b.is_run for b in read_blocks(page))], ids=name)
def test_the_code_runs_and_prints_what_the_page_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = read_blocks(page)
    printed = dict(run_blocks(blocks))
    for shown, source in shown_output(blocks).items():
        refreshed(shown.text, printed[source])


def test_no_block_escapes() -> None:
    """A block is run, or shows the output of one that is, or is counted above, or is markup of the site."""
    not_run = {}
    for page in DOCS:
        blocks = read_blocks(page)
        accounted = {block for block in blocks if block.is_run or block.info.startswith("{")} | {*shown_output(blocks)}
        not_run[page.name] = len(set(blocks) - accounted)
        for block in blocks:
            if block.info == "python no-run":
                compile(block.text, block.place, "exec")
    expected = {page.name: NOT_RUN.get(page.name, 0) for page in DOCS}
    assert not_run == expected


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_exist(page: Path) -> None:
    for block in read_blocks(page):
        for words in command_lines(block.text) if "python" not in block.info else ():
            if words not in (["--version"], ["--help"]):
                parse(words)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(\s*<?([^)>\s]+)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    for target in targets:
        path = target.partition("#")[0]
        if path and not re.match(r"[a-z]+:", target):
            assert (page.parent / path).exists(), f"{name(page)} links to {target}, which does not exist"


def test_the_table_of_recommended_settings_is_the_one_in_the_code() -> None:
    assert recommended_table() in (ROOT / "docs/recommended.md").read_text(encoding="utf-8")


def test_contributing_names_every_folder_and_module_of_the_package() -> None:
    tree = next(block.text for block in read_blocks(ROOT / "CONTRIBUTING.md") if "src/fia/" in block.text)
    entries = {path for path in (ROOT / "src/fia").iterdir() if path.is_dir() or path.suffix == ".py"}
    names = {f"{path.name}/" if path.is_dir() else path.name for path in entries if not path.name.startswith("__")}
    assert {entry for entry in names if entry not in tree} == set()


def test_a_line_that_is_not_printed_is_found() -> None:
    assert refreshed("pruned  1,234 of 9\n...\n", "pruned 56,789 of 10 \nmore\n") == "pruned 56,789 of 10\n...\n"
    with pytest.raises(ValueError, match="not printed: 'pruned 1 things'"):
        refreshed("pruned 1 things\n", "pruned 1 connections\n")
    with pytest.raises(ValueError, match="not printed: 'first'"):
        refreshed("second\nfirst\n", "first\nsecond\n")


def test_a_block_that_would_not_be_found_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("- a list\n  ```python\n  print(1)\n  ```\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md has a fence that is indented"):
        read_blocks(page)


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nfia show nowhere\n```\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="fia show nowhere failed: fia: There is no folder 'nowhere'"):
        list(run_blocks(read_blocks(page)))
    page.write_text("```sh\nrm -r everything\n```\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"page\.md:2 has a command that is not fia's"):
        list(run_blocks(read_blocks(page)))
