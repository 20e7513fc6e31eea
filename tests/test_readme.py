"""The README's Python runs as written, and its command lines are understood."""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from fia.cli import Command

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("#")[0] for line in re.findall(r"^fia .*$", README, flags=re.MULTILINE)]


def test_the_python_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in PYTHON:
        exec(block, names)
    assert len(PYTHON) == 2
    assert (tmp_path / "no-church" / "neurons.safetensors").exists()


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_lines_parse(line: str) -> None:
    tyro.cli(Command, args=shlex.split(line)[1:])


def test_the_tree_names_every_module() -> None:
    modules = {path.name for path in (Path(__file__).parent.parent / "src" / "fia").glob("*.py")}
    assert {name for name in modules if name not in README} == {"__init__.py", "__main__.py"}
