"""What makes a shell complete commands and flags."""

import shutil
import subprocess
from pathlib import Path

import pytest

from fia.cli import main

pytestmark = pytest.mark.slow


def complete(script: Path, *words: str) -> list[str]:
    """Returns what bash offers for the last word."""
    line = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tyro_fia; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", line, str(script), *words], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not there")
def test_bash_completes_commands_flags_and_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "fia.bash"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    assert complete(script, "fia", "fo") == ["forget"]
    assert complete(script, "fia", "library", "comp") == ["compose"]
    assert complete(script, "fia", "forget", "--spat") == ["--spatial-ratio"]
    assert complete(script, "fia", "library", "add", "--rep") == ["--replace"]
    assert complete(script, "fia", "forget", "testbed", "--preset", "e") == ["explicit"]


@pytest.mark.parametrize(("shell", "first_line"), [("zsh", "#compdef fia"), ("fish", "#")])
def test_there_is_a_script_for_other_shells(shell: str, first_line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text.startswith(first_line)
    assert "spatial-ratio" in text
