"""The demonstration in small: it writes everything it promises, and its commands run."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline
from PIL import Image

from fia import Concept, NeuronMask
from fia.bench.demo import FORGOTTEN, DemoConfig, DemoResult, run_demo, text
from fia.bench.questions import World
from fia.bench.sheet import sheet_entries
from fia.cli import main
from fia.drawing.images import Drawing
from fia.recommended import recommend
from fia.testbed import world
from fia.testbed.classifier import heads_of
from fia.testbed.world import PERSON_NAMES

SMALL = DemoConfig("unet", World(1, 1, 1, seed=1000), Drawing(2, 4.0))
FAST = {"num_inference_steps": 4, "saliency_steps": 2, "prompts_per_concept": 2, "retained_words": 0}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder, SMALL, FAST)
    return folder


@pytest.fixture(scope="module")
def result(out: Path) -> DemoResult:
    return json.loads((out / "result.json").read_text())


def test_the_result_has_every_number_and_where_it_comes_from(result: DemoResult) -> None:
    assert list(result["states"]) == ["untouched", "masked", "random mask"]
    for scores in result["states"].values():
        counted = {key: scores[key]["number"] for key in ("still_detected", "kept", "rest", "remains")}
        assert counted == {"still_detected": 5, "kept": 5, "rest": 20, "remains": 5}
    assert result["bit_identical_after_removal"] is True
    assert 0 < result["mask"]["denoiser_sparsity"] < result["mask"]["sparsity"] < 1
    assert result["mask"]["seconds_per_concept"] > 0
    assert result["environment"].keys() == {"versions", "device", "commit"}


def test_it_finds_with_the_recommended_settings_and_what_was_overridden(result: DemoResult) -> None:
    usual, _ = recommend("testbed", [Concept(name) for name in FORGOTTEN])
    assert result["mask"]["settings"] == asdict(replace(usual, **FAST).resolved(0.6))
    assert result["mask"]["spatial_ratios"] == result["alone"]["mask"]["spatial_ratios"] == {}
    assert result["alone"]["mask"]["settings"]["saliency_steps"] == 2


def test_the_object_alone_is_asked_about_on_the_same_images(result: DemoResult) -> None:
    for scores in (result["alone"]["before"], result["alone"]["after"]):
        assert scores["still_detected"]["number"] == 1
        assert scores["rest"]["number"] == 29
        assert scores["kept"] is None
    five = result["states"]["untouched"]["by_answer"]
    assert result["alone"]["before"]["by_answer"] == five


def test_the_terminal_shows_every_state(result: DemoResult) -> None:
    shown = text(result)
    assert "untouched                  masked             random mask" in shown
    assert "  still detected, %" in shown
    assert "If church is forgotten alone (r2 = 5%), it is still detected in" in shown


def test_what_is_complete_is_not_generated_again(
    out: Path, result: DemoResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(out, folder)
    (folder / "result.json").unlink()
    calls: list[int] = []
    whole = StableDiffusionPipeline.__call__
    monkeypatch.setattr(
        StableDiffusionPipeline,
        "__call__",
        lambda self, prompt, **rest: calls.append(len(prompt)) or whole(self, prompt, **rest),
    )
    assert json.loads(json.dumps(run_demo(folder, SMALL, FAST))) == result
    assert calls == [4, 4]  # what is compared after removal


def test_the_mask_and_the_picture_are_there(out: Path) -> None:
    assert NeuronMask.from_pretrained(out / "mask").concepts == FORGOTTEN
    with Image.open(out / "comparison.png") as picture:
        assert picture.width > picture.height > 300


def test_the_sheet_shows_every_subject_place_style_and_the_attribute() -> None:
    entries = [entry for section in sheet_entries().values() for entry in section]
    heads = heads_of(world.SMALL)
    for head, labels in heads.items():
        assert {entry.seen[head] for entry in entries if head in entry.seen} == set(labels) - {"unrecognisable"}
    assert {entry.seen["subject"] for entry in entries if entry.seen["attribute"] == "smoking"} == set(PERSON_NAMES)
    for entry in entries:
        assert entry.seen["style"] == "no style" or entry.seen["style"] in entry.prompt
        assert ("smoking" in entry.prompt) == (entry.seen["attribute"] == "smoking")


def test_the_sheet_command_draws_the_whole_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["testbed", "sheet", "--out", str(tmp_path / "sheet.png"), "--num-inference-steps", "2"]) == 0
    assert f"of {sum(map(len, sheet_entries().values()))} images. The sheet is" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 900
