"""The README's Python runs as written, and its tree is whole."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from documents import read_blocks, run_blocks

ROOT = Path(__file__).parent.parent
BLOCKS = read_blocks(ROOT / "README.md")


def test_the_python_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(list(run_blocks(BLOCKS))) == 3
    assert (tmp_path / "no-church" / "neurons.safetensors").exists()


def test_the_tree_names_every_module() -> None:
    modules = {path.name for path in (ROOT / "src" / "fia").glob("*.py")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in modules if name not in readme} == {"__init__.py", "__main__.py"}
