"""The benchmark in small: what it writes, and that interruptions leave no trace in it."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from fia import Settings
from fia.bench import Bench
from fia.bench.edit_store import OURS
from fia.bench.questions import World
from fia.bench.report import LEGEND
from fia.bench.tasks import objects_task
from fia.cli import main
from fia.drawing.images import Drawing
from fia.evaluation.run import RANDOM
from fia.methods import ESD, FIA, NegativePrompt

WORLD = World(1, 1, 1)
DRAWING = Drawing(num_inference_steps=2, batch_size=8)
METHODS = {
    OURS: FIA(Settings(num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)),
    "ESD-x": ESD("x", iterations=2, batch_size=2, num_inference_steps=3),
    "negative prompt": NegativePrompt(),
}
TASKS = (objects_task(2),)
ROWS = ["untouched", OURS, "ESD-x", "negative prompt", "random mask"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    Bench(folder, WORLD, DRAWING).run(TASKS, lambda _: METHODS)
    return folder


def test_every_method_and_control_is_scored_on_the_same_images(out: Path) -> None:
    results = json.loads((out / "results.json").read_text())
    rows = results["tasks"]["forget 2 objects"]
    assert list(rows) == ROWS
    for scores in rows.values():
        assert scores["still_detected"]["number"] == 2
        assert scores["kept"]["number"] == 8
        assert scores["rest"]["number"] == 20
    assert rows["untouched"]["changed_percent"] == rows["negative prompt"]["changed_percent"] == 0
    assert rows["random mask"]["changed_percent"] == pytest.approx(rows[OURS]["changed_percent"], rel=0.01) != 0
    assert results["made_with"]["drawing"]["num_inference_steps"] == 2
    assert results["made_with"]["environment"]["versions"].keys() >= {"fia", "torch", "diffusers"}


def test_costs_stand_apart_from_results(out: Path) -> None:
    costs = json.loads((out / "costs.json").read_text())
    assert costs["tasks"]["forget 2 objects"][OURS]["seconds"] > 0
    assert costs["machine"].keys() == {"device", "threads"}
    assert "seconds" not in (out / "results.json").read_text()


def test_pictures_and_tables_are_there(out: Path) -> None:
    table = (out / "results.md").read_text()
    assert all(f"\n| {name} |" in table for name in ROWS)
    assert LEGEND in table
    for name in ("tradeoff.png", "forget-2-objects.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 300


class KilledError(BaseException):
    """Stands in for the end of the process."""


@pytest.mark.parametrize("moment", [2, 11])
def test_a_run_that_was_killed_goes_on_and_gives_the_same_file(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    bench = Bench(tmp_path, WORLD, DRAWING)
    whole, calls = bench.pipe.__class__.__call__, 0

    def killed(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > moment:
            raise KilledError
        return whole(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(bench.pipe.__class__, "__call__", killed)
        with pytest.raises(KilledError):
            bench.run(TASKS, lambda _: METHODS)
    assert not (tmp_path / "results.json").exists()
    Bench(tmp_path, WORLD, DRAWING).run(TASKS, lambda _: METHODS)
    assert (tmp_path / "results.json").read_bytes() == (out / "results.json").read_bytes()


def test_what_is_complete_is_not_generated_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (out / "results.json").read_bytes()
    bench = Bench(out, WORLD, DRAWING)
    monkeypatch.setattr(bench.pipe.__class__, "__call__", lambda *_, **__: pytest.fail("generated again"))
    bench.run(TASKS, lambda _: METHODS)
    assert (out / "results.json").read_bytes() == before


def test_scores_in_an_older_format_are_measured_anew_from_the_images(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(out, tmp_path / "old")
    for file in (tmp_path / "old" / "runs").rglob("result.json"):
        file.write_text(json.dumps({"scores": {"forgetting_accuracy": None}, "cost": {}}))
    bench = Bench(tmp_path / "old", WORLD, DRAWING)
    monkeypatch.setattr(bench.pipe.__class__, "__call__", lambda *_, **__: pytest.fail("generated again"))
    bench.run(TASKS, lambda _: METHODS)
    assert (tmp_path / "old" / "results.json").read_bytes() == (out / "results.json").read_bytes()


def test_results_of_other_settings_are_not_mixed(out: Path) -> None:
    other = Bench(out, WORLD, Drawing(num_inference_steps=3, batch_size=8))
    with pytest.raises(ValueError, match="holds results made with other drawing; delete it, or give another folder"):
        other.run(TASKS, lambda _: METHODS)


def test_the_command_names_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--out", str(tmp_path), "--methods", "magic"]) == 2
    assert "There is no method 'magic'; give one of: FIA rewritten, FIA, ConceptPrune" in capsys.readouterr().err
    assert main(["bench", "--out", str(tmp_path), "--tasks", "fly"]) == 2
    assert "There is no task 'fly'; give one of: forget 5 objects" in capsys.readouterr().err


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--world.images-per-object", "1", "--world.images-per-other", "1", "--num-inference-steps", "2"]
    arguments = ["bench", "--out", str(tmp_path), "--tasks", "forget 1 object", "--methods", "UCE", *small]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "forget 1 object" in printed
    assert "UCE" in printed
    assert RANDOM not in printed  # the control belongs to FIA
