"""A file is there whole or not at all."""

from pathlib import Path

import pytest

from fia.files import written_whole


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
