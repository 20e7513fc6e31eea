"""Every script and benchmark says what it does, and does nothing else then."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(file for folder in ("scripts", "benchmarks") for file in (ROOT / folder).glob("*.py"))
COMMANDS = [file for file in FILES if 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.stem)
def test_it_explains_itself(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    monkeypatch.syspath_prepend(str(file.parent))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(file), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")
