"""The benchmark of the large world in small: its questions, its scores, and what it writes."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fia import Settings
from fia.bench.chosen_settings import FOR_FEW, PROMPTS_OF_LARGE, methods_for_scale
from fia.bench.edit_store import OURS
from fia.bench.scale import (
    NUMBERS,
    SCALE_TASKS,
    SHARED,
    SHARING,
    TWO,
    ScaleBench,
    ScaleTask,
    ScaleWorld,
    ask,
    objects_in_order,
    scale_task,
    unlisted,
)
from fia.bench.scale_report import curves_figure
from fia.cli import main
from fia.drawing.images import Drawing
from fia.evaluation.network import ImageNetwork
from fia.evaluation.run import RANDOM
from fia.methods import FIA, NegativePrompt
from fia.testbed.judge import load_judge
from fia.testbed.large import LARGE

WORLD = ScaleWorld(forgotten=4, others=2, pairs=2, sharing=1)
METHODS = {
    OURS: FIA(Settings(num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)),
    "negative prompt": NegativePrompt(),
}


def test_every_object_is_in_the_order_once_and_the_last_twenty_share_words() -> None:
    names = objects_in_order()
    assert sorted(names) == sorted(thing.name for thing in LARGE.objects)
    assert set(SHARING) <= set(names[max(NUMBERS) :])
    assert names[:2] == ("church", "golf ball")


@pytest.mark.parametrize("task", SCALE_TASKS, ids=lambda task: task.name)
def test_questions_are_as_many_as_promised_and_about_what_they_say(task) -> None:
    questions = ask(task, ScaleWorld())
    forgotten = {concept.name for concept in task.concepts}
    plain = [question for question in questions if not question.variant]
    numbers = {group: sum(q.group == group for q in plain) for group in ("forgotten", "kept", "rest")}
    assert numbers == {"forgotten": 200, "kept": 100, "rest": 100}
    assert {q.answer for q in plain if q.group == "forgotten"} == forgotten
    assert {q.answer for q in plain if q.group == "kept"} == set(task.keep)
    unlisted = {q.answer for q in plain if q.group == "rest"}
    assert not unlisted & (
        forgotten | set(task.keep) | set(SHARING) & {q.answer for q in questions if q.variant == SHARED}
    )
    assert {q.answer for q in questions if q.variant == SHARED} == {
        n for n, inner in SHARING.items() if inner in forgotten
    }
    for question in (q for q in questions if q.variant == TWO):
        other = question.remains[1]
        assert question.answer in question.request.prompt
        assert other in question.request.prompt
        assert other not in forgotten | set(task.keep)
    assert len({question.request.seed for question in questions}) == len(questions)


def test_every_number_of_objects_has_every_method_with_few_prompts() -> None:
    settings = [methods_for_scale(task) for task in SCALE_TASKS]
    assert all(own.keys() == FOR_FEW.keys() for own in settings)
    assert settings[1] == settings[2] == settings[3] != settings[4]
    for own in settings:
        for name in (OURS, "FIA"):
            method = own[name]
            assert isinstance(method, FIA)
            assert method.settings.prompts_per_concept == PROMPTS_OF_LARGE
        assert own["ConceptPrune"].prompts_per_concept == PROMPTS_OF_LARGE


@pytest.mark.slow
def test_scores_of_two_subjects_look_at_both_sides(large_model: Path) -> None:
    judge, task = load_judge(large_model), scale_task(1)
    questions = ask(task, WORLD)
    measured = ScaleTask(task.name, questions, judge, ImageNetwork(str(large_model / "classifier")))
    two = [i for i, question in enumerate(questions) if question.variant == TWO]
    answers = {head: ["none"] * len(questions) for head in judge.heads}
    answers["second"][two[0]] = questions[two[0]].answer  # the forgotten one is still on the right
    answers["subject"][two[1]] = questions[two[1]].remains[1]
    judge.answer = lambda _: answers  # type: ignore[method-assign]
    scores = measured.score([])
    assert (scores["still_of_two"]["right"], scores["still_of_two"]["number"]) == (1, 2)
    assert (scores["other_of_two"]["right"], scores["other_of_two"]["number"]) == (1, 2)
    assert (scores["still_detected"]["right"], scores["still_detected"]["number"]) == (0, 4)
    assert scores["empty"]["right"] == scores["empty"]["number"] == 4
    assert scores["shared_word"]["number"] == 1


@pytest.mark.slow
def test_it_measures_draws_the_curves_and_goes_on(large_model: Path, tmp_path: Path) -> None:
    tasks = [scale_task(1), scale_task(10)]
    bench = ScaleBench(tmp_path, WORLD, Drawing(num_inference_steps=2, batch_size=8), large_model)
    scores, costs = bench.run(tasks, lambda _: METHODS)
    assert list(scores) == ["forget 1 object", "forget 10 objects"]
    assert list(scores["forget 10 objects"]) == ["untouched", OURS, "negative prompt", RANDOM]
    assert scores["forget 10 objects"][OURS]["other_of_two"]["number"] == 2
    assert json.loads((tmp_path / "results.json").read_text())["made_with"]["world"]["forgotten"] == 4
    page = (tmp_path / "results.md").read_text()
    assert "| of two: still detected % | of two: the other % |" in page
    assert "Shared word: images of a church bell" in page
    figure = curves_figure(scores, costs)
    assert len(figure.axes) == 4
    figure.savefig(tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 600


@pytest.mark.slow
def test_the_command_runs_a_task_and_draws_the_curves(
    large_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bench", "--scale", "--quick", "--weights", str(large_model), "--out", str(tmp_path)]
    chosen = ["--tasks", "forget 1 object", "--methods", "negative prompt", "--num-inference-steps", "2"]
    assert main([*command, *chosen, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["tasks"]["forget 1 object"]
    assert list(scores) == ["untouched", "negative prompt"]
    assert (tmp_path / "curves.png").exists()
    assert main([*command, "--world.seed", "1"]) == 2
    assert "--world has no effect with --scale" in capsys.readouterr().err


def test_the_small_world_is_refused_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--scale", "--out", str(tmp_path)]) == 2
    assert "do not know the large world. Give --weights testbed-large" in capsys.readouterr().err
    assert main(["bench", "--scale", "--attacks", "--out", str(tmp_path)]) == 2
    assert "--attacks and --scale are two benchmarks" in capsys.readouterr().err


def test_what_nobody_lists_is_neither_forgotten_nor_named():
    for task in SCALE_TASKS:
        others, forgotten = set(unlisted(task)), {concept.name for concept in task.concepts}
        assert others
        assert not others & {*task.keep, *forgotten}
        assert ("church bell" in others) == ("church" not in forgotten)
