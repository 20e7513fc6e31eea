"""Writes files and folders whole or not at all, also if several processes write at once."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryFile
from typing import Any

import psutil

from .errors import DataError, UsageError
from .processes import processes


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Gives a temporary file name to write to, and renames that file when the `with` block ends without an error.

    Args:
        file: the final name. Its folder is made if it does not exist. An existing file stays until it is replaced.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    sweep(file)
    partial = file.with_name(_partial_name(file))
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
    sweep(folder)
    beside = folder.with_name(_partial_name(folder))
    beside.mkdir()
    try:
        partial = beside / folder.name
        partial.mkdir()
        yield partial
        if folder.exists():
            folder.replace(beside / "replaced")
        partial.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _partial_name(path: Path) -> str:
    """Returns a name beside a path that no other writer has. It says which process on which computer writes it."""
    return f".{path.name}.{gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.partial"


def sweep(path: Path) -> None:
    """Deletes what processes left beside a path that were killed while they wrote it on this computer."""
    own = re.compile(rf"\.{re.escape(f'{path.name}.{gethostname()}.')}(\d+)\.[0-9a-f]{{8}}\.partial")
    for beside in path.parent.iterdir():
        match = own.fullmatch(beside.name)
        if match and not psutil.pid_exists(int(match[1])):
            if beside.is_dir():
                shutil.rmtree(beside, ignore_errors=True)
            else:
                beside.unlink(missing_ok=True)


def check_can_write(folder: Path) -> None:
    """Raises UsageError if a folder can be neither written to nor made. Leaves nothing behind."""
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists() or parent.is_symlink())
        if "\0" in str(folder) or not there.is_dir():
            raise NotADirectoryError(f"{there} is not a folder")
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}. Give another folder.") from None


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
    if file.exists() and not file.is_file():
        raise DataError(f"{file} is not a file. Delete it, and make it again.")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not JSON, or is cut off ({error}). Delete it, and make it again.") from None


def slug(name: str) -> str:
    """Returns a name in a form that suits a folder: lower case, with dashes for all but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def similar_folder(folder: Path, marker: str) -> str:
    """Returns a question that names a folder with a similar name beside one that is not there, after a space.

    Args:
        folder: the folder that is not there.
        marker: name of a file that the other folder must hold.
    """
    names = {file.parent.name for file in folder.parent.glob(f"*/{marker}")}
    close = get_close_matches(folder.name, names, n=1)
    return f" Did you mean {str(folder.with_name(close[0]))!r}?" if close else ""
