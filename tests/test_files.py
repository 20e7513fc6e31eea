"""Files and folders are there whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path
from socket import gethostname

import pytest

from fia.errors import DataError, UsageError
from fia.files import check_can_write, folder_written_whole, read_json, written_whole


def test_the_file_is_there_when_the_block_has_ended(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.json"
    with written_whole(file) as partial:
        partial.write_text("1")
        assert not file.exists()
        inode = partial.stat().st_ino
    assert file.stat().st_ino == inode  # renamed, not copied
    assert file.read_text() == "1"
    assert list(file.parent.iterdir()) == [file]


def test_an_error_leaves_the_file_of_before_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("before")

    def interrupted() -> None:
        with written_whole(file) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with written_whole(file) as first, written_whole(file) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert file.read_text() == "first"  # the last to end


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_is_replaced_whole(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "parent" / "model"
    if exists:
        folder.mkdir(parents=True)
        (folder / "stale").write_text("stale")
    with folder_written_whole(folder) as partial:
        (partial / "weights").write_text("new")
        assert folder.exists() == exists
    assert [path.name for path in folder.iterdir()] == ["weights"]
    assert list(folder.parent.iterdir()) == [folder]


def test_an_error_leaves_the_folder_of_before_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("before")

    def interrupted() -> None:
        with folder_written_whole(folder) as partial:
            (partial / "weights").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (folder / "weights").read_text() == "before"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff", b"[" * 100_000])
def test_a_damaged_json_file_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"result\.json is not JSON, or is cut off .* make it again"):
        read_json(file)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.json", tmp_path / "mask"
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead, host = ended.stdout.strip(), gethostname()
    (tmp_path / f".a.json.{host}.{dead}.01234567.partial").write_text("half")
    (tmp_path / f".mask.{host}.{dead}.01234567.partial").mkdir()
    others = [f".a.json.{host}.{os.getpid()}.01234567.partial", f".a.json.elsewhere.{dead}.01234567.partial"]
    for name in others:
        (tmp_path / name).write_text("half")
    with written_whole(file) as partial:
        partial.write_text("1")
    with folder_written_whole(folder):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "mask", *others}


@pytest.mark.parametrize("name", ["file", "file/below", "a" * 300, "new", "new/below", "dangling"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.iterdir())
    if name.startswith("new"):
        check_can_write(tmp_path / name)
    else:
        with pytest.raises(UsageError, match=r"cannot be written: .* Give another folder"):
            check_can_write(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(DataError, match=r"result\.json is not a file"):
        read_json(tmp_path / "result.json")
