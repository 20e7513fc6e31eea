"""Every script in examples/ runs as it is, without arguments, and writes nothing but under runs/."""

import runpy
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
PRINTS = {
    "compose_policy": "everything: chain saw, church, golf ball;",
    "evaluate_mask": "random mask",
    "forget_one": "weights were zero; look at runs/examples/forget_one/comparison.png",
    "own_prompts": "without smoking:",
    "serve_policies": "a-church-in-a-forest.strict.png",
}


def test_every_script_is_known() -> None:
    assert [script.stem for script in SCRIPTS] == sorted(PRINTS)


@pytest.mark.slow
@pytest.mark.usefixtures("few_prompts")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_runs(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert PRINTS[script.stem] in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} <= {"runs"}
    assert script.read_text(encoding="utf-8").count("\n") < 40
