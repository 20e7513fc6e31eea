"""A file of concepts."""

from pathlib import Path

import pytest

from fia import Concept
from fia.cli import main
from fia.commands.concepts_file import LARGEST_FILE, read_concepts

GOGH = Concept("Van Gogh", "style", spatial_ratio=0.1)
FORGET = ["forget", "testbed", "--out", "m", "--concepts-file"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "concepts.txt"


def test_comments_blank_lines_quotes_kinds_and_ratios_are_read(file: Path) -> None:
    lines = [
        "# what to forget",
        "",
        "  golf ball  # on its lawn",
        "Van Gogh:style:0.1",
        '"Paris, Texas"',
        "\t",
        "'Star Wars':object",
        "C#:object, cat",
        '"number # one":style',
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    expected = ["golf ball", GOGH, Concept("Paris, Texas"), Concept("Star Wars"), Concept("C#"), "cat"]
    assert read_concepts(file) == [*expected, Concept("number # one", "style")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(end: str, start: bytes, file: Path) -> None:
    file.write_bytes(start + end.join(["church", "Van Gogh:style:0.1", ""]).encode())
    assert read_concepts(file) == ["church", GOGH]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"church\n\nVan Gogh:sytle\n", "line 3: kind 'sytle' in 'Van Gogh:sytle'"),
        (b"church\r\ncat:2\r\n", r"line 2: The ratio in 'cat:2' is outside \[0, 1\]"),
        (b'"church\n', "line 1: The quote in"),
        (b"church\n,\n", "line 2: A concept's name is empty"),
        (b"church\n\xff\xfec\x00", "line 2: this is not UTF-8 text"),
        ("church\n".encode("utf-16"), "line 1: this is not UTF-8 text"),
        (b"church\ncat\nChurch:style\n", "line 3: 'Church' is in line 1 already"),
        (b"", "holds no concept"),
        (b"# nothing\n\n", "holds no concept"),
        (b"a" * (LARGEST_FILE + 1), "more than 1,000,000 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(content: bytes, message: str, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_concepts(file)


def test_the_command_line_names_the_file_and_the_line(file: Path, tmp_path: Path, capsys) -> None:
    file.write_text("church\ncat:style:7\n", encoding="utf-8")
    assert main([*FORGET, str(file)]) == 2
    assert f"fia: {file}, line 2: The ratio in 'cat:style:7'" in capsys.readouterr().err
    assert main([*FORGET, str(tmp_path / "none.txt")]) == 2
    assert "none.txt does not exist" in capsys.readouterr().err
    assert main([*FORGET, str(tmp_path)]) == 2
    assert "is not a file" in capsys.readouterr().err
