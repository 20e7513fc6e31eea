"""How the command line ends: exit codes, what is explained and what shows its traceback, interruptions, warnings."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fia.cli import main
from fia.commands.show import Show
from fia.errors import DataError, FIAError, NotFoundError, UsageError

SHOW = ["show", "masks/two"]


@pytest.fixture
def ends_with(monkeypatch: pytest.MonkeyPatch):
    """Lets `fia show` raise an error."""

    def fail_with(error: BaseException) -> None:
        def run(_command: Show) -> None:
            raise error

        monkeypatch.setattr(Show, "run", run)

    monkeypatch.delenv("FIA_DEBUG", raising=False)
    return fail_with


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("This is wrong."), 2),
        (NotFoundError("This is wrong."), 2),
        (DataError("This is wrong."), 1),
        (FIAError("This is wrong."), 1),
    ],
)
def test_an_explained_error_is_one_line(error, code, ends_with, capsys) -> None:
    ends_with(error)
    assert main(SHOW) == code
    assert capsys.readouterr().err == "fia: This is wrong.\n"


def test_a_file_that_cannot_be_used_is_one_line(ends_with, capsys) -> None:
    ends_with(PermissionError(13, "Permission denied", "masks/two/config.json"))
    assert main(SHOW) == 1
    assert capsys.readouterr().err == "fia: masks/two/config.json: Permission denied\n"


@pytest.mark.parametrize("error", [ValueError("a fault"), OSError("a fault"), MemoryError("a fault")])
def test_anything_else_keeps_its_traceback(error, ends_with) -> None:
    ends_with(error)
    with pytest.raises(type(error), match="a fault"):
        main(SHOW)


@pytest.mark.parametrize("words", [["--debug", *SHOW], [*SHOW, "--debug"], [SHOW[0], "--debug", SHOW[1]]])
def test_debug_shows_the_traceback_of_an_explained_error(words, ends_with, capsys) -> None:
    ends_with(UsageError("This is wrong."))
    assert main(words) == 2
    text = capsys.readouterr().err
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("UsageError: This is wrong.\n")


@pytest.mark.parametrize(("value", "shows"), [("1", True), ("0", False), ("", False)])
def test_so_does_a_variable_of_the_environment(value, shows, ends_with, monkeypatch, capsys) -> None:
    ends_with(FIAError("This is wrong."))
    monkeypatch.setenv("FIA_DEBUG", value)
    assert main(SHOW) == 1
    assert ("Traceback" in capsys.readouterr().err) is shows


def test_an_interruption_is_one_line(ends_with, capsys) -> None:
    ends_with(KeyboardInterrupt())
    assert main(SHOW) == 130
    assert capsys.readouterr().err == "fia: interrupted.\n"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="tells what a process has loaded")
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_so_is_one_while_modules_load(library: str) -> None:
    command = [sys.executable, "-m", "fia", "forget", "--help"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while f"/{library}/" not in maps.read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "fia: interrupted.\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)  # before anything is written, so that every line fails
    done = subprocess.run(
        [sys.executable, "-m", "fia", "--help"], check=False, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
def test_characters_that_the_terminal_lacks_are_replaced() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "fia", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    assert run("Zoë").stderr == "fia: There is no command 'Zo?'. fia --help lists all of them.\n"
    shown = run("show", "--help")
    assert "Shows what a mask holds" in shown.stdout
    assert (shown.returncode, shown.stderr) == (0, "")


def test_warnings_are_shown_on_stderr_by_the_command_line_alone(monkeypatch, capsys) -> None:
    log = logging.getLogger("fia")
    monkeypatch.setattr(Show, "run", lambda _: log.warning("The church is still there."))
    handlers = list(log.handlers)
    assert main(SHOW) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "fia: warning: The church is still there.\n")
    assert log.handlers == handlers


def test_a_library_that_does_not_exist(tmp_path: Path, capsys) -> None:
    for words in (["list"], ["remove", "church"], ["compose", "--out", str(tmp_path / "mask")]):
        assert main(["library", words[0], str(tmp_path / "none"), *words[1:]]) == 2
        assert "There is no folder" in capsys.readouterr().err
    assert main(["library", "remove", str(tmp_path)]) == 2
    assert "No concept was given" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_that_matches_no_layer(capsys) -> None:
    assert main(["layers", "testbed", "--layers", "["]) == 2
    assert "--layers '[' matches no linear of testbed" in capsys.readouterr().err


def test_numbers_of_prompts_that_are_none(capsys) -> None:
    assert main(["stability", "testbed", "church", "--prompts"]) == 2
    assert "--prompts has no number" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["bench"], ["testbed", "demo"], ["testbed", "sheet"]])
def test_weights_that_are_not_there(command: list[str], tmp_path: Path, capsys) -> None:
    assert main([*command, "--out", str(tmp_path / "out"), "--weights", str(tmp_path)]) == 2
    assert f"fia: {tmp_path} holds no embedded model: there is no model in it." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["forget", "", "church", "--out", "{out}"], "The name of the model is empty"),
        (["forget", "testbed", "", "--out", "{out}"], "A concept's name is empty"),
        (["forget", "testbed", "church", "--keep", "", "--out", "{out}"], "A concept's name is empty"),
        (["forget", "testbed", "church", "--layers", "", "--out", "{out}"], "No linear of UNet2DConditionModel has a"),
        (["forget", "testbed", "church", "--clip", "", "--check", "1", "--out", "{out}"], "There is no CLIP ''"),
        (["show", ""], "The name of the mask is empty"),
        (["show", " "], "The name of the mask is empty"),
        (["generate", "", "a church", "--out", "{out}"], "The name of the model is empty"),
        (["generate", "testbed", "a church", "--mask", "", "--out", "{out}"], "The name of the mask is empty"),
        (["evaluate", "testbed", "--mask", "", "--out", "{out}"], "The name of the mask is empty"),
        (["layers", ""], "The name of the model is empty"),
        (["layers", "testbed", "--layers", ""], "--layers '' matches no linear of testbed"),
        (["apply", "testbed", "", "--out", "{out}"], "The name of the mask is empty"),
        (["library", "add", "{out}", ""], "The name of the mask is empty"),
        (["stability", "", "church"], "The name of the model is empty"),
        (["serve", ""], "The name of the model is empty"),
        (["bench", "--out", "{out}", "--tasks", ""], "There is no task ''"),
    ],
)
def test_empty_words_are_refused_and_write_nothing(words: list[str], message: str, tmp_path: Path, capsys) -> None:
    assert main([word.format(out=tmp_path / "out") for word in words]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
