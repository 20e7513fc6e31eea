"""Reads a file of concepts: one on each line, as on the command line."""

import re
from pathlib import Path

from ..concepts import Concept, as_concepts, comparable, parse_concepts
from ..errors import NotFoundError, UsageError

LARGEST_FILE = 1_000_000  # bytes


def read_concepts(file: Path) -> list[str | Concept]:
    """Returns the concepts in a text file.

    Every line holds concepts as `parse_concepts` reads them. Empty lines, what follows a `#` at the start of a line or
    after a space, and a byte-order mark at the start of the file are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not UTF-8 text or holds no concept, or a line cannot be read; the message has its number.
    """
    if not file.is_file():
        what = "is not a file" if file.exists() else "does not exist"
        raise NotFoundError(f"{file} {what}; give a text file with one concept on each line.")
    with file.open("rb") as opened:
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{file} has more than {LARGEST_FILE:,} bytes, so it is hardly a list of concepts.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines_before = content[: error.start].count(b"\n")
        raise UsageError(f"{file}, line {lines_before + 1}: this is not UTF-8 text. Save the file as UTF-8.") from None
    concepts: list[str | Concept] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        written = without_comment(line)
        try:
            for concept in parse_concepts(written) if written else []:
                [checked] = as_concepts(concept)
                for word in checked.words:
                    known = lines.setdefault(comparable(word), number)
                    if known != number:
                        raise UsageError(f"{word!r} is in line {known} already; name it once.")
                concepts.append(concept)
        except UsageError as error:
            raise UsageError(f"{file}, line {number}: {error}") from None
    if not concepts:
        raise UsageError(f"{file} holds no concept. Write one on each line, such as: Van Gogh:style.")
    return concepts


def without_comment(line: str) -> str:
    """Returns a line without its comment and the spaces around it. A `#` in double quotes starts no comment."""
    for found in re.finditer(r"(?:^|(?<=\s))#", line):
        if line.count('"', 0, found.start()) % 2 == 0:
            return line[: found.start()].strip()
    return line.strip()
