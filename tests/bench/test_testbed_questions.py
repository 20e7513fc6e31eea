"""What the world of the test-bed holds, and which questions forgetting raises about it."""

from collections import Counter
from collections.abc import Sequence

import pytest

from fia import Concept
from fia.bench.questions import SMOKING_CONCEPT, World, ask, scenes
from fia.prompts import prompt_pairs
from fia.testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, STYLE_NAMES

WORLD = World(images_per_object=8, images_per_other=2, images_per_style=10)
STYLES = [Concept(name, "style") for name in STYLE_NAMES]


def groups(concepts: Sequence[Concept], keep: Sequence[str]) -> dict[str, Counter]:
    counts: dict[str, Counter] = {}
    for question in ask(WORLD, concepts, keep):
        counts.setdefault(question.group, Counter())[question.answer] += 1
    return counts


def test_the_whole_world_is_shown_each_image_with_a_seed_of_its_own() -> None:
    shown = scenes(WORLD)
    assert len({scene.request.seed for scene in shown}) == len(shown) == 10 * 8 + 20 * 2 + 4 * 2 * 2 + 3 * 10
    assert {scene.subject for scene in shown} == {*OBJECT_NAMES, *PERSON_NAMES}
    assert {scene.style for scene in shown} == {*STYLE_NAMES, None}
    churches = [scene for scene in shown if scene.subject == "church" and scene.style is None]
    assert {scene.place for scene in churches} == set(PLACE_NAMES)
    assert all(scene.place in scene.request.prompt and scene.subject in scene.request.prompt for scene in shown)


def test_prompts_say_what_is_asked_for() -> None:
    prompts = {(scene.subject, scene.style, scene.smokes): scene.request.prompt for scene in scenes(WORLD)}
    assert prompts["English springer", None, False].startswith("a photo of an English springer in a ")
    assert prompts["man", None, True].startswith("a photo of a smoking man in a ")
    assert prompts["church", "Lumenza", False].endswith("in the style of Lumenza")


@pytest.mark.slow
def test_no_prompt_is_one_that_neurons_are_found_with() -> None:
    asked = {scene.request.prompt for scene in scenes(WORLD)}
    for concept in (*map(Concept, OBJECT_NAMES), *STYLES, SMOKING_CONCEPT):
        many = 1 if concept.prompts else 30
        pairs = prompt_pairs(concept, prompts_per_concept=many, seeds_per_prompt=1, seed=0)
        assert asked.isdisjoint({pair.concept_prompt for pair in pairs})


def test_objects() -> None:
    counts = groups([Concept("church"), Concept("cat")], IMAGENETTE[5:])
    assert counts["forgotten"] == {"church": 8, "cat": 2}
    assert counts["kept"] == dict.fromkeys(IMAGENETTE[5:], 8)
    assert counts["rest"].keys() == {*OBJECT_NAMES} - {"church", "cat", *IMAGENETTE[5:]}
    assert ask(WORLD, [Concept("parachute")], [])[0].remains == ("place", scenes(WORLD)[0].place)


def test_styles_ask_for_artists_and_for_plain_objects() -> None:
    counts = groups(STYLES, IMAGENETTE)
    assert counts["forgotten"] == dict.fromkeys(STYLE_NAMES, 10)
    assert counts["kept"] == dict.fromkeys(IMAGENETTE, 8)
    assert counts["rest"] == dict.fromkeys(OBJECT_NAMES[10:], 2)


def test_smoking_asks_for_persons_too() -> None:
    counts = groups([SMOKING_CONCEPT], PERSON_NAMES)
    assert counts["forgotten"] == {"smoking": 8}
    assert counts["kept"] == dict.fromkeys(PERSON_NAMES, 2)
    assert sum(counts["rest"].values()) == 10 * 8 + 20 * 2


def test_kinds_together() -> None:
    counts = groups([Concept("church"), *STYLES, SMOKING_CONCEPT], PERSON_NAMES)
    assert counts["forgotten"] == {"church": 8, "smoking": 8} | dict.fromkeys(STYLE_NAMES, 10)
    assert counts["kept"].keys() == set(PERSON_NAMES)


def test_what_shows_another_forgotten_concept_is_not_kept() -> None:
    concepts = [Concept("church"), STYLES[0]]
    about_styles = ask(WORLD, concepts, [], about=[STYLES[0].name])
    assert "church" not in {question.answer for question in about_styles}
    remains = {question.request.prompt.split(" in ")[0]: question.remains for question in about_styles}
    assert remains["a photo of a parachute"] == ("subject", "parachute")
    churches = [question for question in about_styles if "church" in question.request.prompt]
    assert {question.kind for question in churches} == {"style"}
    assert {question.remains for question in churches} == {None}


@pytest.mark.parametrize("template", ["a {subject}", "a {thing} in a {place}", "a {subject} in a {place} {place} {x}"])
def test_templates_must_have_their_slots(template: str) -> None:
    with pytest.raises(ValueError, match=r"it must hold \{subject\} and \{place\}, and no other slot"):
        World(template=template)


@pytest.mark.parametrize("field", ["images_per_object", "images_per_other", "images_per_style"])
def test_numbers_that_make_no_sense_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}=0; it must be at least 1"):
        World(**{field: 0})
