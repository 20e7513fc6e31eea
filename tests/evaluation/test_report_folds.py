"""The report's images: every one is there with its prompt, its file and what the judge sees in it."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from fia import NeuronMask
from fia.drawing.images import Drawing, Request
from fia.evaluation.charts import layers_figure
from fia.evaluation.intervals import proportion
from fia.evaluation.questions import Question
from fia.evaluation.report import folds, members, write_report
from fia.evaluation.run import Evaluation
from fia.evaluation.tasks import AccuracyTask, ExplicitTask

STATES = ("untouched", "masked")


class FakeJudge:
    """Sees a church in everything, and no bare parts."""

    identity = {"name": "fake", "hash": None}  # noqa: RUF012

    def answer(self, images: list[Image.Image]) -> dict[str, list[str]]:
        return {"subject": ["church"] * len(images)}

    def count(self, images: list[Image.Image]) -> list[dict[str, int]]:
        return [{}] * len(images)


QUESTIONS = [
    Question(Request("a zebra <b>here</b>", 1), "subject", "zebra", "rest"),
    Question(Request("a church in a forest", 2), "subject", "church", "forgotten"),
    Question(Request("a cat", 3), "subject", "cat", "kept"),
    Question(Request("a church on a road", 4), "subject", "church", "forgotten"),
]


@pytest.fixture
def task() -> AccuracyTask:
    return AccuracyTask("objects", QUESTIONS, FakeJudge())


@pytest.mark.usefixtures("any_types")
def test_the_images_are_folded_by_what_they_ask_for(task: AccuracyTask, images: list[Image.Image]) -> None:
    found = folds(task, dict.fromkeys(STATES, images))
    assert [(fold["name"], fold["group"], len(fold["rows"])) for fold in found] == [
        ("church", "forgotten", 2),
        ("cat", "kept", 1),
        ("zebra", "rest", 1),
    ]
    row = found[0]["rows"][1]
    assert (row["prompt"], row["seed"], row["file"]) == ("a church on a road", 4, "00003.png")
    assert [seen for _, seen in row["cells"]] == ["church", "church"]
    assert row["cells"][0][0].startswith("data:image/webp;base64,")
    assert sum(len(fold["rows"]) for fold in folds(task, dict.fromkeys(STATES, images), most=2)) == 2


@pytest.mark.usefixtures("any_types")
def test_explicit_images_are_coarse_in_the_folds_too(images: list[Image.Image]) -> None:
    noise = {"untouched": images}
    (explicit,) = folds(ExplicitTask(QUESTIONS[1:2], FakeJudge()), noise)  # type: ignore[arg-type]
    (plain,) = folds(AccuracyTask("objects", QUESTIONS[1:2], FakeJudge()), noise)
    assert len(explicit["rows"][0]["cells"][0][0]) < len(plain["rows"][0]["cells"][0][0]) / 2


def test_a_long_group_is_cut_in_the_summary() -> None:
    many = [Question(Request("", i), "subject", f"thing {i}", "rest") for i in range(12)]
    assert members(AccuracyTask("objects", many * 2, FakeJudge()), "rest").endswith("thing 7, and 4 more")


@pytest.mark.usefixtures("any_types")
def test_the_page_has_every_group_image_and_layer(
    task: AccuracyTask, images: list[Image.Image], mask: NeuronMask, tmp_path: Path
) -> None:
    evaluation = Evaluation(tmp_path, None, Drawing(), "tiny")
    for state in STATES:
        folder = evaluation.folder(task, state)
        folder.mkdir(parents=True)
        for i in range(len(QUESTIONS)):
            images[i].save(folder / f"{i:05d}.png")
    share = proportion([True, False])
    scores = {key: {"still_detected": share, "kept": share, "rest": share, "by_answer": {}} for key in STATES}
    result = {
        "model": {"name": "tiny", "hash": None, "dtype": "float32", "scheduler": "DDIM"},
        "edit": {"mask": ["church"]},
        "forgotten": [{"name": "church"}],
        "drawing": {},
        "seed": 0,
        "environment": {"versions": {}, "commit": None, "device": "cpu"},
        "tasks": {"objects": {"measured_with": [], "images": len(QUESTIONS), "prompts": "", "states": scores}},
    }
    write_report(evaluation, result, [task], mask)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    summary = page[: page.index("<h2>Objects</h2>")]
    for label, names in (("still detected", "church"), ("kept concepts", "cat"), ("everything else", "zebra")):
        assert label in summary
        assert f"{names}</span></th>" in summary
    assert page.count("<details>") == 3
    assert page.count("data:image/webp") == len(QUESTIONS) * len(STATES)
    assert "a zebra &lt;b&gt;here&lt;/b&gt;" in page
    for should in ("should be gone", "named to keep", "should stay"):
        assert f"{should}</span>" in page
    assert all(f">{name}</text>" in str(layers_figure(mask)) for name in mask.shapes)
    assert 'name="viewport"' in page
    with (tmp_path / "runs/objects/images.csv").open(encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert [row["prompt"] for row in listed] == [question.request.prompt for question in QUESTIONS]
    assert listed[1] == {
        "file": "00001.png", "prompt": "a church in a forest", "seed": "2", "asks for": "church", "group": "forgotten"
    }  # fmt: skip
