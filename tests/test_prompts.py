"""Prompt pairs: the paper's wording, shared base prompts, seeds, and own prompts."""

import pytest

from fia import Concept
from fia.prompts import OBJECTS, PERSONS, PLACES, TEMPLATES, fill, prompt_pairs, slots_of

PAPER_PLACES = (
    "road, tree, forest, lawn, clubhouse, courtyard, backyard, cityscape, suburb, mall, cafe, office, library, market, "
    "bridge, harbor, garden, beach, room, park, street, shelter, chair, table, bag, mountain, valley, waterfall, "
    "desert, sunrise"
)
PAPER_OBJECTS = (
    "cat, dog, mouse, bear, car, chair, bag, building, chicken, duck, sofa, table, tree, bicycle, door, rabbit, ball, "
    "bat, horse, bird, flower, bowl, bottle, wall, clock, television, guitar, truck, laptop, book"
)
PAPER_PERSONS = (
    "man, woman, girl, boy, mother, father, kid, professor, student, group of friends, celebrity, child, couple, guy, "
    "doctor, nurse, teacher, lawyer"
)


def pairs_of(concept, number=1, seeds=1, seed=0):
    pairs = prompt_pairs(concept, prompts_per_concept=number, seeds_per_prompt=seeds, seed=seed)
    return [(pair.concept_prompt, pair.base_prompt, pair.seed) for pair in pairs]


@pytest.mark.parametrize(("words", "paper"), [(PLACES, PAPER_PLACES), (OBJECTS, PAPER_OBJECTS)])
def test_places_and_objects_are_those_of_the_paper(words, paper):
    assert sorted(words) == sorted(paper.split(", "))


def test_persons_are_the_adults_of_the_paper():
    minors = {"girl", "boy", "kid", "child", "student"}
    assert set(PERSONS) == set(PAPER_PERSONS.split(", ")) - minors
    assert len(set(PERSONS)) == len(PERSONS)


def test_objects_are_named_in_and_near_a_place_against_the_place_alone():
    first = PLACES[:4]
    assert pairs_of(Concept("golf ball"), 4) == [
        (f"a golf ball in a {first[0]}", f"a {first[0]}", 0),
        (f"a golf ball near a {first[1]}", f"a {first[1]}", 1),
        (f"a golf ball in the {first[2]}", f"a {first[2]}", 2),
        (f"a golf ball near the {first[3]}", f"a {first[3]}", 3),
    ]


def test_styles_are_named_behind_an_object_against_the_object_alone():
    (pair,) = pairs_of(Concept("Van Gogh", kind="style"))
    assert pair == (f"a {OBJECTS[0]} in the style of Van Gogh", f"a {OBJECTS[0]}", 0)


def test_explicit_content_is_named_before_a_person_against_the_person_alone():
    (pair,) = pairs_of(Concept("naked", kind="explicit"))
    assert pair == (f"a photo of a naked {PERSONS[0]}", f"a photo of a {PERSONS[0]}", 0)


def test_seeds_count_up_and_the_prompts_come_around_again():
    pairs = pairs_of(Concept("church"), number=2, seeds=3, seed=40)
    assert [seed for _, _, seed in pairs] == [40, 41, 42, 43, 44, 45]
    assert [texts[:2] for texts in pairs[:2]] * 3 == [texts[:2] for texts in pairs]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_concepts_of_a_kind_share_base_prompts_and_seeds(kind):
    one, other = pairs_of(Concept("church", kind), 5, 2), pairs_of(Concept("apple", kind), 5, 2)
    assert [pair[1:] for pair in one] == [pair[1:] for pair in other]


@pytest.mark.parametrize(("kind", "number"), [("object", 30), ("style", 30), ("explicit", 13)])
def test_every_word_can_be_used_once_and_not_more(kind, number):
    pairs = pairs_of(Concept("church", kind), number)
    assert len({pair[0] for pair in pairs}) == number
    expected = (
        f"prompts_per_concept={number + 1}, but 'church' of kind '{kind}' has {number} prompts; use at most {number}"
    )
    with pytest.raises(ValueError, match=expected):
        pairs_of(Concept("church", kind), number + 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("apple", "an apple in a room"),
        ("English springer", "an English springer in a room"),
        ("cat", "a cat in a room"),
        ("unicorn", "a unicorn in a room"),
        ("vitamin a extract", "a vitamin a extract in a room"),
    ],
)
def test_only_the_templates_own_article_is_inflected(name, expected):
    assert fill("a {concept} in a {slot}", concept=name, slot="room") == expected


def test_own_prompts_replace_the_templates_all_of_them_and_word_for_word():
    own = (("a red church", "a red house"), ("vitamin a in a church", "vitamin a in a house"))
    pairs = pairs_of(Concept("church", prompts=own), number=1, seeds=2, seed=7)
    assert [texts[:2] for texts in pairs] == [*own, *own]
    assert [seed for _, _, seed in pairs] == [7, 8, 9, 10]


def test_a_name_may_hold_braces():
    assert pairs_of(Concept("{church}"))[0][0].startswith("a {church} in a ")


def test_a_place_has_things_in_it_and_is_not_among_the_base_prompts():
    pairs = prompt_pairs(Concept("forest", "place"), prompts_per_concept=3, seeds_per_prompt=1, seed=0)
    assert [(pair.concept_prompt, pair.base_prompt) for pair in pairs] == [
        ("a cat in a forest", "a cat"),
        ("a car in the forest", "a car"),
        ("a chair in a forest", "a chair"),
    ]


@pytest.mark.parametrize("name", ["forest", "Forest", "beach|shore", "harbor"])
def test_a_place_as_an_object_is_refused_with_the_kind(name):
    with pytest.raises(ValueError, match=r"is a place, .*kind=\"place\"\), or \w+:place"):
        prompt_pairs(Concept(name), prompts_per_concept=1, seeds_per_prompt=1, seed=0)


def test_no_base_prompt_holds_the_concept():
    for concept in (
        Concept("chair"),
        Concept("man", "explicit"),
        Concept("cat", "style"),
        Concept("building", "place"),
    ):
        number = len(slots_of(concept))
        pairs = prompt_pairs(concept, prompts_per_concept=number, seeds_per_prompt=1, seed=0)
        assert not any(concept.is_in(pair.base_prompt) for pair in pairs)
    # With the prompts of its whole kind, it has all but the one that would show itself.
    assert len(prompt_pairs(Concept("chair"), prompts_per_concept=30, seeds_per_prompt=1, seed=0)) == 29


def test_each_synonym_has_all_prompts_and_every_pair_its_own_seed():
    pairs = prompt_pairs(Concept("church|chapel"), prompts_per_concept=2, seeds_per_prompt=2, seed=7)
    assert [pair.seed for pair in pairs] == list(range(7, 15))
    assert [pair.concept_prompt for pair in pairs[:4]] == [
        *("a church in a beach", "a church near a forest", "a chapel in a beach", "a chapel near a forest"),
    ]
    assert [pair.base_prompt for pair in pairs] == ["a beach", "a forest"] * 4
