"""The models that the page offers: their settings, their guidance and their safety checkers."""

from dataclasses import replace

import pytest
from warned import heard, warned

from fia import Concept, Settings
from fia.loading import Runtime
from fia.recommended import recommend
from fia.web.finding import settings_of
from fia.web.forms import FindForm
from fia.web.offers import Offer, make_offers, suggest_prompts
from fia.web.refusal import Refused

CHURCH = [Concept("church")]


@pytest.fixture
def offers() -> dict[str, Offer]:
    """Both embedded models, and another."""
    return {offer.label: offer for offer in make_offers(["testbed-dit", "owner/name"], 8)}


def form(**choices: float | str) -> FindForm:
    return FindForm(model="testbed", concepts=[{"name": "church"}], **choices)


@pytest.mark.parametrize("model", ["testbed", "testbed-dit"])
def test_concepts_are_found_with_what_is_recommended(model: str, offers: dict[str, Offer]) -> None:
    settings, concepts = recommend(model, CHURCH)
    assert settings_of(form(), offers[model], CHURCH) == (replace(settings, edit="rewrite"), concepts)
    assert settings_of(form(edit="zero"), offers[model], CHURCH) == recommend(model, CHURCH, zero=True)


@pytest.mark.parametrize("edit", ["rewrite", "zero"])
def test_any_other_model_takes_the_defaults(offers: dict[str, Offer], edit: str) -> None:
    assert settings_of(form(edit=edit), offers["owner/name"], CHURCH) == (Settings(edit=edit), CHURCH)


def test_what_the_person_changes_goes_first(offers: dict[str, Offer]) -> None:
    recommended, concepts = recommend("testbed", CHURCH)
    settings, found = settings_of(form(prompts_per_concept=3), offers["testbed"], CHURCH)
    assert (settings.prompts_per_concept, settings.spatial_ratio) == (3, recommended.spatial_ratio)
    assert found == concepts
    settings, found = settings_of(form(spatial_ratio=0.02), offers["testbed"], CHURCH)
    assert (settings.spatial_ratio, found) == (0.02, CHURCH)  # and no r2 of the church's own that would hide it


def test_images_are_generated_with_the_models_own_guidance(offers: dict[str, Offer]) -> None:
    scales = {label: offer.drawing.guidance_scale for label, offer in offers.items()}
    assert scales == {"testbed": 4.0, "testbed-dit": 4.0, "owner/name": None}


def test_a_safety_checker_is_taken_off_with_a_warning_or_left_on(pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    checker = pipe.safety_checker = object()
    monkeypatch.setattr(Runtime, "load", lambda *_: pipe)
    off, on = (make_offers(["owner/name"], 8, keeps)[0] for keeps in (False, True))
    with heard() as messages:
        assert on.load(Runtime()).safety_checker is checker
    assert messages == []
    with warned(r"safety checker is off.*blackens images.* owner/name on, use fia serve --keep-safety-checker"):
        assert off.load(Runtime()).safety_checker is None
    assert (on.is_unchecked, off.is_unchecked) == (False, True)


def test_a_model_without_one_is_passed_over_in_silence(pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runtime, "load", lambda *_: pipe)
    with heard() as messages:
        make_offers([], 8)[0].load(Runtime())
    assert messages == []


def test_a_model_that_is_named_comes_first_and_the_embedded_one_once(offers: dict[str, Offer]) -> None:
    assert list(offers) == ["testbed-dit", "owner/name", "testbed"]
    assert [offer.label for offer in make_offers(["testbed", "owner/name"], 8)] == ["testbed", "owner/name"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chruch", "Did you mean church"),
        ("CHURCH", "Did you mean church"),
        ("ocrelo", "Did you mean Ocrello"),
        ("xyz", "See What"),
    ],
)
def test_an_unknown_name_is_refused_in_one_line(offers: dict[str, Offer], name: str, said: str) -> None:
    with pytest.raises(Refused, match=f"testbed does not know '{name}'. {said}") as refused:
        offers["testbed"].check_names("keep", [Concept(name)])
    assert refused.value.field == "keep"
    assert len(str(refused.value)) < 80
    offers["owner/name"].check_names("keep", [Concept(name)])


def test_prompts_are_suggested_for_what_goes_and_for_what_stays() -> None:
    assert suggest_prompts([Concept("zebra")], [Concept("horse")]) == [
        "a zebra in a forest",
        "a horse on a road",
        "a cat in a desert",
    ]
    assert (
        suggest_prompts([Concept(name) for name in ("cat", "zebra", "car", "umbrella")])[-1]
        == "an umbrella on a mountain"
    )
    many = [Concept(f"thing {i}") for i in range(20)]
    assert len(suggest_prompts(many)) == 12
    assert suggest_prompts(many)[9:] == ["a thing 9 in a desert", "a cat on a mountain", "a zebra in a room"]
