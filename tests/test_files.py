"""Files and folders are there whole or not at all."""

from pathlib import Path

import pytest

from fia.errors import DataError
from fia.files import folder_written_whole, read_json, written_whole


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
