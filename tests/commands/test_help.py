"""The help of every command."""

import re
import shlex

import pytest
from every_command import command_class, examples, help_of

from fia.cli import main, parse
from fia.commands import COMMANDS
from fia.commands.arguments import MASK, MODEL

every_command = pytest.mark.parametrize("name", COMMANDS)


def in_one_line(text: str) -> str:
    """Returns a help without its frames and line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]|-{2,}(?!\w)", " ", text).split())


@every_command
def test_it_shows_examples_that_can_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(name, capsys).splitlines()
    assert examples(name)
    for line in examples(name):
        assert f"  {line}" in shown
        assert type(parse(shlex.split(line, comments=True)[1:])) is command_class(name)


@every_command
def test_it_shows_flags_as_they_are_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(name, capsys)
    assert not re.findall(r"None|\bSTR\b|\{fixed\}|tyro|\(default: \)", text)
    for line in examples(name):
        text = text.replace(line, "")
    flags = {flag.rstrip(".;)") for flag in re.findall(r"(?<!\S)--[^\s,\]-][^\s,\]]*", text)}
    assert [flag for flag in flags if not re.fullmatch(r"--[a-z0-9]+(?:[.-][a-z0-9]+)*", flag)] == []
    assert [flag for flag in flags if flag.startswith("--no-") and f"--{flag[5:]}" in flags] == []


@every_command
def test_models_and_masks_are_explained_by_one_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = in_one_line(help_of(name, capsys))
    for metavar, explained in (("MODEL", MODEL), ("MASK", MASK)):
        for flag in re.findall(rf"(\S+) {metavar}(?: \.\.\.)? (?={re.escape(explained[:10])})", text):
            assert f"{metavar} {explained}" in text.replace(f"{metavar} ...", metavar), flag
    if name in ("forget", "generate", "evaluate", "apply", "serve", "layers", "stability"):
        assert MODEL in text
    if name in ("generate", "show", "evaluate", "apply", "publish", "library add"):
        assert MASK in text


@pytest.mark.parametrize("columns", ["5", "39", "40"])
def test_a_narrow_terminal_counts_as_one_of_40_columns(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    frames = help_of("forget", capsys).partition("positional arguments")[2].splitlines()
    assert max(map(len, frames)) == 40


def test_every_flag_may_be_typed_with_underscores() -> None:
    assert parse(["show", "masks/two", "--heat_map", "a.png"]).heat_map.name == "a.png"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show"], "MASK"),
        (["show", "a", "--heat-mapp", "b.png"], "--heat-map FILE"),
        (["library", "add"], "LIBRARY"),
        (["forget", "testbed", "church", "--out", ""], "the path is empty"),
        (["forget", "testbed", "church", "--out", "m", "--guidance-scale", "nan"], "nan is not a finite number"),
        (["forget", "testbed", "church", "--out", "m", "--spatial-ratio", "much"], "'much'"),
        (["forget", "testbed", "church", "--out", "m", "--spatial-ratio", "None"], "'None'"),
        (["forget", "testbed", "church", "--out", "m", "--preset", "None"], "invalid choice 'None'"),
    ],
)
def test_words_that_cannot_be_read_are_explained(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    text = in_one_line(capsys.readouterr().err)
    assert message in text
    assert "Traceback" not in text
    assert "tyro" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "testbed", "--out", "m", "--batch-size", "0"], "fia: batch_size=0; it must be at least 1.\n"),
        (["serve", "--port", "-1"], "fia: port=-1; it must be between 0 and 65535.\n"),
        (
            ["forget", "testbed", "a", "--out", "m", "--spatial-ratio", "2"],
            "fia: spatial_ratio=2.0 is outside [0, 1].\n",
        ),
        (
            ["stability", "testbed", "church", "--saliency-steps", "0"],
            "fia: saliency_steps=0; it must be at least 1.\n",
        ),
    ],
)
def test_what_is_out_of_range_is_explained_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == message
