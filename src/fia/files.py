"""Writes files and folders whole or not at all, also if several processes write at once."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .errors import DataError, UsageError
from .processes import processes


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Gives a temporary file name to write to, and renames that file when the `with` block ends without an error.

    Args:
        file: the final name. Its folder is made if it does not exist. An existing file stays until it is replaced.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to write to, and puts it in place when the `with` block ends without an error.

    Args:
        folder: the final name. Its parent is made if it does not exist. An existing folder stays until it is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.", suffix=".partial") as beside:
        partial = Path(beside, folder.name)
        partial.mkdir()
        yield partial
        if folder.exists():
            folder.replace(Path(beside, "replaced"))
        partial.replace(folder)


def claim(folder: Path, made_with: dict[str, Any]) -> None:
    """Records how a folder's results are made. If the folder already has a record, compares the two.

    Args:
        folder: the folder.
        made_with: the record, as plain JSON.

    Raises:
        ValueError: if they differ.
    """
    file = folder / "made_with.json"
    made_with = json.loads(json.dumps(made_with))
    if not file.exists():
        write_json(file, made_with)
        return
    known = read_json(file)
    differing = [key for key in made_with if known.get(key) != made_with[key]]
    if differing:
        raise UsageError(
            f"{folder} holds results made with other {' and other '.join(differing)}; delete it, or give another "
            "folder."
        )


def write_json(file: Path, value: Any) -> None:
    """Writes JSON whole or not at all. If there are several processes, only the main one writes."""
    if processes().is_main_process:
        with written_whole(file) as partial:
            partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(file: Path) -> Any:
    """Returns what a JSON file holds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or is cut off.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not JSON, or is cut off ({error}). Delete it, and make it again.") from None


def slug(name: str) -> str:
    """Returns a name in a form that suits a folder: lower case, with dashes for all but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
