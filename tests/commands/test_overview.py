"""What `fia` answers without loading a command: its help, its version, and names that do not exist."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from every_command import command_class
from startup import measure

import fia
from fia.cli import main, overview
from fia.commands import COMMANDS, GROUPS

HEAVY = ("torch", "diffusers", "transformers", "matplotlib", "numpy", "tyro")


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_nothing_heavy_is_loaded(flag: str) -> None:
    code = (
        "import sys; from fia.__main__ import main; code = main();"
        f"sys.exit(code or ' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, flag], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_answer_comes_at_once() -> None:
    medians = measure(3)
    # Two to three times as long as an empty Python; a single heavy import makes it twenty and more.
    assert max(medians.values()) < 10 * medians["python"]


def test_the_table_of_commands_says_what_the_docstrings_say() -> None:
    for name, entry in COMMANDS.items():
        first = inspect.cleandoc(command_class(name).__doc__ or "").split("\n\n")[0]
        assert entry.help == first, name
    assert {name.split()[0] for name in COMMANDS if " " in name} == set(GROUPS)


def test_the_page_on_the_command_line_has_the_same_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `fia ([a-z ]+)` \| (.*) \|$", page, flags=re.MULTILINE))
    assert list(rows.items()) == [(name, entry.help) for name, entry in COMMANDS.items()]


def test_help_names_every_command_and_fits_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name.split()[0]} " in text
    assert "--version" in text
    assert "--debug" in text
    assert max(map(len, text.splitlines())) <= 80
    for group in GROUPS:
        assert main([group, "--help"]) == 0
        assert capsys.readouterr().out == overview(group) + "\n"
        assert max(map(len, overview(group).splitlines())) <= 80
    assert "\n  compose " in overview("library")
    assert "forget" not in overview("library")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{fia.__version__}\n"


@pytest.mark.parametrize("words", [[], ["library"]])
def test_without_a_command_the_help_is_an_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == overview(*words) + "\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["forgett", "testbed"], "There is no command 'forgett'. Did you mean 'forget'? fia --help lists"),
        (["librari", "add"], "There is no command 'librari'. Did you mean 'library'? fia --help"),
        (["library", "ad", "x"], "There is no command 'library ad'. Did you mean 'library add'? fia library --help"),
        (["xyzzy"], "There is no command 'xyzzy'. fia --help lists all of them."),
        (["--verbose"], "There is no command '--verbose'."),
    ],
)
def test_an_unknown_command(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
