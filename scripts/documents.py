"""Finds and runs the code in Markdown pages, and updates the output that a page shows.

The info string of a fenced block says what happens. `python` and `sh` blocks run, page by page and in order. Blocks
marked `no-run` do not run, because they need a download or the reader's own model. A `text` block after a block that
runs shows some lines of its output, with `...` for the others.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path

from fia.cli import main

FENCE = re.compile(r"^```([^`\n]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\b[0-9a-f]{12}\b|\d[\d.,]*(?:e[-+]\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: file of the page.
        start, stop: position of the block's text in the page.
        info: the info string: python, sh, text, or anything else.
        text: the text between the fences.
    """

    page: Path
    start: int
    stop: int
    info: str
    text: str

    @property
    def is_run(self) -> bool:
        return self.info in ("python", "sh")

    @property
    def place(self) -> str:
        line = self.page.read_text(encoding="utf-8").count("\n", 0, self.start) + 1
        return f"{self.page.name}:{line}"


def read_blocks(page: Path) -> list[Block]:
    """Returns every fenced block of a page.

    Raises:
        ValueError: if a fence is indented or not closed, because its block would be missed.
    """
    text = page.read_text(encoding="utf-8")
    blocks = [Block(page, m.start(2), m.end(2), m[1].strip(), m[2]) for m in FENCE.finditer(text)]
    if text.count("```") != 2 * len(blocks):
        raise ValueError(f"{page.name} has a fence that is indented, nested or not closed; its block would not be run.")
    return blocks


def command_lines(text: str) -> list[list[str]]:
    """Returns the words of every `fia` command in a shell block, without comments."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in joined.splitlines() if line.startswith("fia ")]


def run_blocks(blocks: Sequence[Block]) -> Iterator[tuple[Block, str]]:
    """Runs the blocks of one page in the current folder, all Python in one namespace; yields each with its output.

    Raises:
        RuntimeError: if a command fails, or is not a `fia` command.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        if not block.is_run:
            continue
        printed = StringIO()
        with redirect_stdout(printed):
            if block.info == "python":
                exec(compile(block.text, block.place, "exec"), names)
            else:
                _run_commands(block)
        yield block, printed.getvalue()


def _run_commands(block: Block) -> None:
    commands = command_lines(block.text)
    lines = [line for line in block.text.replace("\\\n", " ").splitlines() if line.split("#")[0].strip()]
    if len(commands) != len(lines):
        raise RuntimeError(f"{block.place} has a command that is not fia's; mark the block as `sh no-run`.")
    for words in commands:
        problems = StringIO()
        with redirect_stderr(problems):
            code = main(words)
        if code != 0:
            raise RuntimeError(f"{block.place}: fia {shlex.join(words)} failed: {problems.getvalue()[-2000:]}")


def shown_output(blocks: Sequence[Block]) -> dict[Block, Block]:
    """Returns the block that prints the output, for each block that shows output."""
    shown: dict[Block, Block] = {}
    for before, block in pairwise(blocks):
        if block.info == "text" and before.is_run:
            shown[block] = before
    return shown


def refreshed(shown: str, printed: str) -> str:
    """Returns the lines that a page shows, with the numbers of the new output.

    Raises:
        ValueError: if the new output lacks a line in this order, apart from its numbers.
    """
    remaining = iter(printed.splitlines())
    result = []
    for line in shown.splitlines():
        if line.strip() != "..." and line.strip():
            found = next((new for new in remaining if skeleton(new) == skeleton(line)), None)
            if found is None:
                raise ValueError(f"The page shows a line that is not printed: {line!r}")
            line = found.rstrip()
        result.append(line)
    return "".join(f"{line}\n" for line in result)


def skeleton(line: str) -> str:
    """Returns a line with # for every number and hash, and single spaces."""
    return " ".join(NUMBER.sub("#", line).split())
