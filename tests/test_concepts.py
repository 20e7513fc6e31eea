"""Concepts: what is accepted, what is refused, and the paper's own."""

import pytest

from fia import Concept, preset
from fia.concepts import as_concepts, paper_agnostic_ratio, parse_concept


def test_a_name_alone_is_an_object_with_the_settings_ratios():
    concept = Concept("church")
    assert (concept.kind, concept.temporal_ratio, concept.spatial_ratio, concept.prompts) == ("object", None, None, ())


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(ValueError, match="name is empty"):
        Concept(name)


@pytest.mark.usefixtures("any_types")
def test_an_unknown_kind_is_refused_with_the_kinds_that_exist():
    with pytest.raises(ValueError, match=r"kind='person' of concept 'Ann' is not one of object, style, explicit"):
        Concept("Ann", kind="person")


@pytest.mark.parametrize("field", ["temporal_ratio", "spatial_ratio"])
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_ratio_outside_0_to_1_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"{field}={value} of concept 'church' is outside \[0, 1\]"):
        Concept("church", **{field: value})


@pytest.mark.parametrize("value", [0, 0.0, 1, 1.0])
def test_ratios_at_the_ends_are_accepted(value):
    assert Concept("church", temporal_ratio=value, spatial_ratio=value).spatial_ratio == value


@pytest.mark.usefixtures("any_types")
def test_own_prompts_become_tuples_so_that_concepts_can_be_compared_and_hashed():
    from_lists = Concept("church", prompts=[["a church", "a hill"]])
    from_tuples = Concept("church", prompts=(("a church", "a hill"),))
    assert from_lists == from_tuples
    assert hash(from_lists) == hash(from_tuples)


def test_names_become_objects_and_concepts_stay_as_they_are():
    style = Concept("Monet", kind="style")
    assert as_concepts(["church", style]) == [Concept("church"), style]


@pytest.mark.parametrize("one", ["church", Concept("church")])
def test_a_single_concept_needs_no_list(one):
    assert as_concepts(one) == [Concept("church")]


def test_any_iterable_of_concepts_is_read():
    assert as_concepts(name for name in ("church", "tench")) == [Concept("church"), Concept("tench")]


@pytest.mark.parametrize("nothing", [[], (), iter(())])
def test_no_concept_is_refused(nothing):
    with pytest.raises(ValueError, match="No concept was given"):
        as_concepts(nothing)


def test_a_concept_given_twice_is_refused_even_as_another_kind():
    with pytest.raises(ValueError, match="'Monet' is given 2 times"):
        as_concepts(["Monet", "church", Concept("Monet", kind="style")])


# Section 5 of docs/method.md.
@pytest.mark.parametrize(
    ("name", "alpha", "kind", "spatial_ratios"),
    [
        ("imagenette", 0.6, "object", [0.007] * 7 + [0.03] * 3),
        ("explicit", 0.6, "explicit", [0.01] * 2),
        ("artists", 0.8, "style", [0.02] * 4 + [0.03]),
    ],
)
def test_presets_hold_the_settings_of_the_paper(name, alpha, kind, spatial_ratios):
    concepts = preset(name)
    assert paper_agnostic_ratio(concepts) == alpha
    assert sorted(concept.spatial_ratio for concept in concepts) == spatial_ratios
    assert {concept.kind for concept in concepts} == {kind}
    assert as_concepts(concepts) == list(concepts)


def test_only_sexual_has_a_temporal_ratio_of_its_own():
    own = {c.name: c.temporal_ratio for name in ("imagenette", "explicit", "artists") for c in preset(name)}
    assert {name: ratio for name, ratio in own.items() if ratio is not None} == {"sexual": 0.06}


def test_the_concepts_hard_to_forget_are_those_of_the_paper():
    hard = {c.name for name in ("imagenette", "artists") for c in preset(name) if c.spatial_ratio == 0.03}
    assert hard == {"parachute", "golf ball", "gas pump", "Van Gogh"}


def test_a_mixed_set_has_the_alpha_of_objects():
    assert paper_agnostic_ratio([Concept("Monet", kind="style"), Concept("church")]) == 0.6


def test_an_unknown_preset_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="preset 'birds' is not one of imagenette, explicit, artists"):
        preset("birds")


def test_in_paper_mode_the_papers_names_take_its_kinds_and_ratios():
    church, cat, gogh, sexual = as_concepts(["church", "cat", "Van Gogh", "sexual"], "paper")
    assert church == Concept("church", spatial_ratio=0.007)
    assert cat == Concept("cat")
    assert gogh == Concept("Van Gogh", "style", spatial_ratio=0.03)
    assert (sexual.kind, sexual.temporal_ratio) == ("explicit", 0.06)
    assert as_concepts("church") == [Concept("church")]
    assert as_concepts(Concept("church"), "paper") == [church]


def test_paper_mode_fills_in_what_is_not_given_whatever_the_case():
    gogh, own, object_ = as_concepts(
        [Concept("van gogh", "style"), Concept("Monet", "style", spatial_ratio=0.5), Concept("naked")], "paper"
    )
    assert gogh == Concept("van gogh", "style", spatial_ratio=0.03)
    assert own.spatial_ratio == 0.5
    assert object_ == Concept("naked")  # the paper's is explicit, this one is an object by its owner's choice


def test_a_prompt_must_differ_from_its_base():
    with pytest.raises(ValueError, match="holds 'a church' twice in a pair; the first must ask for the concept"):
        Concept("church", prompts=(("a church in a wood", "a wood"), ("a church", "a church")))


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("church", "church"),
        ("Van Gogh:style", Concept("Van Gogh", "style")),
        ("Star Wars: A New Hope", "Star Wars: A New Hope"),
        ("a:b:object", Concept("a:b")),
    ],
)
def test_a_kind_follows_the_last_colon_at_once(text, concept):
    assert parse_concept(text) == concept


def test_a_misspelt_kind_is_not_taken_for_a_part_of_the_name():
    with pytest.raises(ValueError, match=r"kind 'sytle' in 'Van Gogh:sytle' is not one of .*\"Van Gogh:sytle:object\""):
        parse_concept("Van Gogh:sytle")
    with pytest.raises(ValueError, match="name is empty"):
        parse_concept(":style")


@pytest.mark.parametrize(
    "names", [["church", "Church"], ["church", " church "], ["church", "the church"], ["ﬁsh", "FISH"]]
)
def test_names_that_differ_in_case_spaces_or_an_article_are_one_name(names):
    with pytest.raises(ValueError, match=r"is given 2 times.* name it once\. Several words for one thing are"):
        as_concepts(names)


def test_names_are_trimmed():
    assert Concept("  golf   ball\n").name == "golf ball"


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\x00b", "chu\u200brch", "a\u202eb", "a\ud800b", "a\nb", "a\u2028b"])
def test_invisible_characters_are_refused_and_shown(name):
    with pytest.raises(ValueError, match=r"holds an invisible character, '\\") as error:
        Concept(name)
    assert str(error.value).isascii()


@pytest.mark.parametrize("name", ["\u0642\u200c\u062e", "Café", "教堂", "👨\u200d🌾"])
def test_names_of_other_languages_are_accepted(name):
    assert Concept(name).name == name


def test_synonyms_follow_after_bars_or_apart():
    one, two = Concept("church | chapel|minster"), Concept("church", synonyms=("chapel", " minster"))
    assert one == two
    assert (one.name, one.synonyms, one.words) == ("church", ("chapel", "minster"), ("church", "chapel", "minster"))
    assert as_concepts("church|chapel") == [Concept("church", synonyms=("chapel",))]
    assert parse_concept("Van Gogh|Vincent:style") == Concept("Van Gogh", "style", synonyms=("Vincent",))


@pytest.mark.parametrize("text", ["church|", "|church", "church||chapel", "church| |chapel"])
def test_an_empty_synonym_is_refused(text):
    with pytest.raises(ValueError, match="name is empty"):
        as_concepts(text)


def test_a_word_of_a_concept_that_is_the_same_as_another_is_dropped():
    assert Concept("church|the Church|chapel|Chapel").words == ("church", "chapel")


@pytest.mark.parametrize("names", [["church|chapel", "Chapel"], ["a|b", "c|b"]])
def test_a_synonym_given_twice_is_refused(names):
    with pytest.raises(ValueError, match="is given 2 times"):
        as_concepts(names)


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ([("church", "style")], r"\('church', 'style'\) is a tuple, not a concept; give a name or a fia.Concept"),
        ([5], "5 is a int, not a concept"),
        ([None], "None is a NoneType, not a concept"),
        ({"church": 0.5}, r"is a dict; give a list .* mask.with_strengths"),
        (None, "None is a NoneType; give a list"),
        (5, "5 is a int; give a list"),
    ],
)
def test_other_things_than_concepts_are_refused_with_what_to_give(concepts, message):
    with pytest.raises(ValueError, match=message):
        as_concepts(concepts)


@pytest.mark.usefixtures("any_types")
def test_names_and_synonyms_of_other_types_are_refused():
    with pytest.raises(ValueError, match="name=5 is a int"):
        Concept(5)
    with pytest.raises(ValueError, match="synonyms='chapel' is a text; give a tuple"):
        Concept("church", synonyms="chapel")
    with pytest.raises(ValueError, match="The name None is a NoneType"):
        Concept("church", synonyms=(None,))


@pytest.mark.parametrize("base", ["a man without glasses", "Glasses on a table"])
def test_a_base_prompt_that_holds_the_concept_is_refused(base):
    with pytest.raises(ValueError, match="holds the concept itself; give the same scene without it"):
        Concept("glasses", prompts=(("a man with glasses", base),))
    assert Concept("glass", prompts=(("a glass", "a man with glasses"),))  # another word
