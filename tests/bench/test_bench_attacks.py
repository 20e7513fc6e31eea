"""The attacks of the benchmark in small: states, tables, interruption, and what the command refuses."""

import json
from pathlib import Path

import pytest
import torch

from fia.attacks.choice import Attacks
from fia.attacks.quantise import Quantise
from fia.bench import methods_for
from fia.bench.attacks import ATTACKED, BUDGETS, CHOSEN, AttackBench
from fia.bench.attacks_report import BEFORE
from fia.bench.tasks import TASKS, objects_task
from fia.cli import main
from fia.edits.weight_edit import WeightEdit
from fia.methods import UCE, NegativePrompt

pytestmark = pytest.mark.slow

FEW = Attacks(quantise=Quantise((8,)))


def test_every_state_of_a_task(tmp_path: Path) -> None:
    """It makes the edits that the benchmark makes, and a second run attacks nothing again."""
    methods = {"UCE": UCE(), "negative prompt": NegativePrompt()}
    never_knew = WeightEdit({"conv_out.bias": torch.ones(24)})
    bench = AttackBench(tmp_path, images=1)
    run = {"names": ("quantise",), "budgets": FEW, "never_knew": never_knew}
    result = bench.run([objects_task(1)], lambda _: methods, **run)
    task = result["tasks"]["forget 1 object"]
    (scores,) = task["attacks"]
    assert list(scores["states"]) == ["untouched", "UCE", "never knew"]
    assert scores["states"]["untouched"]["after"]["number"] == 1
    assert task["extent"] == {"images_per_concept": 1, "seed": 3000}
    assert (tmp_path / "edits" / "forget-1-object" / "uce" / "weights.safetensors").exists()
    assert json.loads((tmp_path / "attacks" / "attacks.json").read_text()) == json.loads(json.dumps(result))
    table = (tmp_path / "attacks" / "attacks.md").read_text()
    assert f"| {BEFORE} | 100 |" in table
    assert "\n| quantised, int8 | 100 |" in table
    assert "- quantised: bits 8." in table
    images = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    assert bench.run([objects_task(1)], lambda _: methods, **run)["tasks"] == result["tasks"]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")} == images


def test_the_tasks_and_budgets() -> None:
    assert [task.name for task in ATTACKED] == ["forget 5 objects", "forget one style", "forget smoking"]
    assert ATTACKED[0] == TASKS[0]
    assert ATTACKED[2] in TASKS
    assert [len(task.concepts) for task in ATTACKED] == [5, 1, 1]
    assert len(CHOSEN) == len(set(CHOSEN))
    assert BUDGETS.chosen(CHOSEN) == BUDGETS.chosen(["all"])
    for task in ATTACKED:
        assert {"FIA rewritten", "FIA", "ConceptPrune", "UCE", "RECE", "ESD-x", "ESD-u"} <= methods_for(task).keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--never-knew", "nowhere"], "--never-knew has no effect without --attacks"),
        (["--attacks", "--never-knew", "nowhere"], "There is no edited model nowhere"),
        (["--attacks", "--tasks", "forget 10 objects"], "There is no task 'forget 10 objects'; give one of: forget 5"),
        (["--attacks", "--methods", "uce"], "There is no method 'uce'"),
        (["--attacks", "--num-inference-steps", "4"], "--attacks has images of its own"),
        (["--attacks", "--world.images-per-object", "4"], "--attacks has images of its own"),
    ],
)
def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["bench", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
