"""`fia forget --check`: is the concept gone? And what the command says if it is not."""

import json
import re
from pathlib import Path

import pytest
from tiny_pipelines import tiny_sd

import fia
from fia import Concept
from fia.bench import check
from fia.bench.check import Check, Look, held_out_prompts, verdict
from fia.cli import main
from fia.concepts import parse_concepts
from fia.finding.plan import plan_finding
from fia.testbed.pretrained import FOLDER

pytestmark = pytest.mark.slow

FAST = ["--num-inference-steps", "4", "--saliency-steps", "2", "--prompts-per-concept", "2", "--retained-words", "0"]
HARD = ["--edit", "zero", "--spatial-ratio", "0.5", *FAST[:-2], "--num-inference-steps", "10"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_sd().save_pretrained(folder)
    return str(folder)


def test_the_embedded_models_judge_says_whether_it_is_gone(tmp_path: Path, capsys) -> None:
    out = tmp_path / "mask"
    assert main(["forget", "testbed", "church", *HARD, "--check", "2", "--out", str(out)]) == 0
    assert "\nchurch: still in 0 of 2 images (before: 2).\n" in capsys.readouterr().out
    assert (tmp_path / "mask-check.png").exists()


def test_without_a_judge_it_shows_the_images_and_says_so(model: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(check, "USUAL_CLIP", "nobody/nothing")
    assert main(["forget", model, "church", "cat", "--check", "1", "--out", str(tmp_path / "mask"), *FAST]) == 0
    text = capsys.readouterr().out
    assert "church: there is no judge here, so look at the picture." in text
    assert f"The images are in {tmp_path / 'mask-check.png'}" in text
    assert (tmp_path / "mask-check.png").exists()


def test_a_local_clip_judges_any_other_model_in_its_size(model: str, tmp_path: Path, capsys) -> None:
    words = ["forget", model, "church", "--check", "2", "--clip", str(FOLDER / "clip"), "--height", "32", "--json"]
    assert main([*words, "--out", str(tmp_path / "mask"), *FAST]) == 0
    [look] = json.loads(capsys.readouterr().out)["check"]
    assert (look["concept"], look["images"], look["judge"]) == ("church", 2, "clip")
    assert 0 <= look["after"] <= 2
    assert 0 <= look["before"] <= 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--check", "-1"], "--check -1: the number of images must be at least 0"),
        (["--check", "1", "--clip", "nobody/nothing"], "There is no CLIP 'nobody/nothing' on this machine"),
    ],
)
def test_what_cannot_be_checked_is_refused_before_anything_is_found(flags, message, model, tmp_path, capsys) -> None:
    assert main(["forget", model, "church", "--out", str(tmp_path / "mask"), *flags, *FAST]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mask").exists()


@pytest.mark.parametrize("kind", ["object", "style", "explicit"])
def test_prompts_are_others_than_those_that_find(kind, pipe) -> None:
    concept = Concept("church", kind)
    plan = plan_finding(pipe, concept, prompts_per_concept=10)
    found_with = {text for _, own in plan.pairs for pair in own for text in (pair.concept_prompt, pair.base_prompt)}
    held_out = held_out_prompts(concept)
    assert not found_with & {text for pair in held_out for text in pair}
    assert all("church" in prompt and "church" not in base for prompt, base in held_out)
    assert len(set(held_out)) == len(held_out)


def test_smoking_is_asked_of_several_persons() -> None:
    sights = Check(fia.load_testbed(), [Concept("smoking", "explicit")], 4).sights["smoking"]
    assert len({sight.request.prompt for sight in sights}) == 4


@pytest.mark.parametrize(
    ("edit", "look", "expected"),
    [
        ("rewrite", (8, 0), "church: still in 0 of 8 images (before: 8)."),
        (
            "rewrite",
            (8, 3),
            'church: still in 3 of 8 images (before: 8). Try a larger r2 of its own, "church:object:0.04", or '
            "--retain-weight 0.75.",
        ),
        ("zero", (8, 3), "--agnostic-ratio 1.01, which spares nothing."),
        ("rewrite", (0, 0), "Does the model draw it under this name?"),
        ("rewrite", (None, None), "there is no judge here"),
    ],
)
def test_the_verdict_says_what_to_change(edit, look, expected, pipe) -> None:
    options = {"num_inference_steps": 4, "saliency_steps": 2, "progress": False}
    mask = fia.find(pipe, ["church", "chapel"], edit=edit, agnostic_ratio=0.6, retained_words=0, **options)
    said = verdict(Look("church", 8, *look, "judge"), Concept("church"), mask, 0.02)
    assert expected in said


def test_the_verdict_writes_a_name_as_it_must_be_typed(pipe) -> None:
    options = {"num_inference_steps": 4, "saliency_steps": 2, "progress": False, "edit": "zero"}
    concept = Concept("Paris, Texas", "style")
    said = verdict(Look(concept.name, 2, 2, 2, "judge"), concept, fia.find(pipe, concept, **options), 0.5)
    [typed] = re.findall(r'"(.*?)"', said)
    assert parse_concepts(typed) == [Concept("Paris, Texas", "style", spatial_ratio=1.0)]
