"""The demonstration in small: it writes everything it promises, and its commands run."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fia import NeuronMask, Settings
from fia.bench.demo import (
    FORGOTTEN,
    KEPT,
    REST,
    DemoConfig,
    Drawn,
    evaluation_prompts,
    forgotten_concepts,
    one_and_others,
    run_demo,
    summary,
)
from fia.bench.sheet import sheet_entries
from fia.cli import main
from fia.testbed.classifier import HEADS
from fia.testbed.judge import Answers
from fia.testbed.world import OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES

ACCURACIES = {
    *("forgetting_accuracy", "preserving_accuracy", "preserving_accuracy_rest"),
    *("overall", "place_accuracy_forgotten"),
}
SMALL = DemoConfig(images_per_object=1, images_per_rest_object=1, num_inference_steps=2)
FAST = Settings(num_inference_steps=4, saliency_steps=2, prompts_per_concept=2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder, FAST, SMALL)
    return folder


def test_the_result_has_every_number_and_where_it_comes_from(out: Path) -> None:
    result = json.loads((out / "result.json").read_text())
    for state in (result, result["base"], result["random"]):
        assert state.keys() >= ACCURACIES
        assert all(0 <= state[key] <= 100 for key in ACCURACIES)
    assert result["bit_identical_after_removal"] is True
    assert 0 < result["denoiser_sparsity"] < result["sparsity"] < 1
    assert result["seconds_per_concept"] > 0
    assert result["settings"]["saliency_steps"] == 2
    assert result["settings"]["agnostic_ratio"] == 0.6
    assert result["versions"].keys() >= {"fia", "torch", "diffusers", "transformers"}
    assert result["alone"]["after"].keys() == {"church", "others"}
    assert 0 < result["alone"]["sparsity"] < 1
    assert "forgetting accuracy" in summary(result)
    assert "church forgotten alone" in summary(result)


def test_one_object_and_the_others_are_counted_apart() -> None:
    drawn = Drawn([], Answers(["church", "none", "cat", "duck", "cat"], [], [], []))
    asked = ["church", "church", "cat", "duck", "tench"]
    assert one_and_others(drawn, asked) == {"church": 50.0, "others": pytest.approx(200 / 3)}


def test_the_mask_and_the_picture_are_there(out: Path) -> None:
    assert NeuronMask.from_pretrained(out / "mask").concepts == FORGOTTEN
    with Image.open(out / "comparison.png") as picture:
        assert picture.width > picture.height > 300


def test_prompts_cover_every_object_and_place_with_seeds_of_their_own() -> None:
    objects, places, prompts, seeds = evaluation_prompts(DemoConfig(images_per_object=8, images_per_rest_object=1))
    assert len(set(seeds)) == len(prompts) == 10 * 8 + len(REST)
    assert {objects.count(name) for name in (*FORGOTTEN, *KEPT)} == {8}
    assert len({place for thing, place in zip(objects, places, strict=True) if thing == "church"}) == 8
    assert prompts[0] == "a photo of a parachute in a beach"


def test_the_sheet_shows_every_subject_place_style_and_the_attribute() -> None:
    entries = [entry for section in sheet_entries().values() for entry in section]
    assert {entry.subject for entry in entries} == {*OBJECT_NAMES, *PERSON_NAMES, "none"}
    assert {entry.place for entry in entries} == {*PLACE_NAMES, None}
    assert {entry.style for entry in entries} == set(HEADS["style"])
    assert {entry.subject for entry in entries if entry.attribute == "smoking"} == set(PERSON_NAMES)
    for entry in entries:
        assert entry.style == "no style" or entry.style in entry.prompt
        assert ("smoking" in entry.prompt) == (entry.attribute == "smoking")


@pytest.mark.parametrize(
    ("field", "value"), [("images_per_object", 0), ("num_inference_steps", 0), ("images_per_rest_object", -1)]
)
def test_numbers_that_make_no_sense_are_refused(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field}={value}"):
        DemoConfig(**{field: value})


def test_objects_have_the_r2_of_the_settings_or_one_of_their_own() -> None:
    ratios = {concept.name: concept.spatial_ratio for concept in forgotten_concepts({"church": 0.1})}
    assert ratios == dict.fromkeys(FORGOTTEN) | {"church": 0.1}
    with pytest.raises(ValueError, match=r"own_ratios names 'tench', which is not forgotten: parachute, .*"):
        DemoConfig(own_ratios={"tench": 0.1})


def test_the_sheet_command_draws_the_whole_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["testbed", "sheet", "--out", str(tmp_path / "sheet.png"), "--num-inference-steps", "2"]) == 0
    assert f"of {sum(map(len, sheet_entries().values()))} pictures recognised" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 900
