"""Which pictures a task asks about, and what it expects of them."""

from collections import Counter

import pytest

from fia.bench.tasks import TASKS, objects_task, pictures
from fia.prompts import prompt_pairs
from fia.testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, STYLE_NAMES

PICTURES = pictures(of_each=8, of_each_other=2, of_each_style=10)


def questions_by_group(name: str) -> dict[str, Counter]:
    task = next(task for task in TASKS if task.name == name)
    groups: dict[str, Counter] = {}
    for question in task.questions(PICTURES):
        groups.setdefault(question.group, Counter())[question.answer] += 1
    return groups


def test_pictures_show_the_whole_world_each_with_a_number_of_its_own() -> None:
    assert [picture.number for picture in PICTURES] == list(range(10 * 8 + 20 * 2 + 4 * 2 * 2 + 3 * 10))
    assert {picture.subject for picture in PICTURES} == {*OBJECT_NAMES, *PERSON_NAMES}
    assert {picture.style for picture in PICTURES} == {*STYLE_NAMES, None}
    churches = [picture for picture in PICTURES if picture.subject == "church" and picture.style is None]
    assert {picture.place for picture in churches} == set(PLACE_NAMES)
    assert all(picture.place in picture.prompt and picture.subject in picture.prompt for picture in PICTURES)


def test_prompts_say_what_is_asked_for() -> None:
    prompts = {(picture.subject, picture.style, picture.smokes): picture.prompt for picture in PICTURES}
    assert prompts["English springer", None, False].startswith("a photo of an English springer in a ")
    assert prompts["man", None, True].startswith("a photo of a smoking man in a ")
    assert prompts["church", "Lumenza", False].endswith("in the style of Lumenza")


def test_no_prompt_is_one_that_neurons_are_found_with() -> None:
    asked = {picture.prompt for picture in PICTURES}
    for task in TASKS:
        for concept in task.concepts:
            many = 1 if concept.prompts else 30
            pairs = prompt_pairs(concept, prompts_per_concept=many, seeds_per_prompt=1, seed=0)
            assert asked.isdisjoint({pair.concept_prompt for pair in pairs})


@pytest.mark.parametrize(("number", "kept"), [(1, 9), (5, 5), (10, 20), (20, 10), (30, 0)])
def test_objects_are_forgotten_in_order_and_others_kept(number: int, kept: int) -> None:
    task = objects_task(number)
    assert [concept.name for concept in task.concepts] == list(OBJECT_NAMES[:number])
    assert len(task.keep) == kept
    assert not set(task.keep) & set(OBJECT_NAMES[:number])


def test_the_task_of_five_objects() -> None:
    groups = questions_by_group("forget 5 objects")
    assert groups["forgotten"] == dict.fromkeys(IMAGENETTE[:5], 8)
    assert groups["kept"] == dict.fromkeys(IMAGENETTE[5:], 8)
    assert groups["rest"] == dict.fromkeys(OBJECT_NAMES[10:], 2)


def test_the_task_of_styles_asks_for_artists_and_for_plain_objects() -> None:
    groups = questions_by_group("forget all styles")
    assert groups["forgotten"] == dict.fromkeys(STYLE_NAMES, 10)
    assert groups["kept"] == dict.fromkeys(IMAGENETTE, 8)
    assert groups["rest"] == dict.fromkeys(OBJECT_NAMES[10:], 2)


def test_the_task_of_smoking_keeps_persons() -> None:
    groups = questions_by_group("forget smoking")
    assert groups["forgotten"] == {"smoking": 8}
    assert groups["kept"] == dict.fromkeys(PERSON_NAMES, 2)
    assert sum(groups["rest"].values()) == 10 * 8 + 20 * 2


def test_the_task_of_all_kinds_forgets_each() -> None:
    groups = questions_by_group("forget all kinds at once")
    assert groups["forgotten"] == dict.fromkeys(IMAGENETTE[:5], 8) | dict.fromkeys(STYLE_NAMES, 10) | {"smoking": 8}
    assert groups["kept"].keys() == {*IMAGENETTE[5:], *PERSON_NAMES}
    assert groups["rest"].keys() == set(OBJECT_NAMES[10:])
