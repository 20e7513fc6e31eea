"""The models that the page offers: their settings, their guidance and their safety checkers."""

import pytest
from warned import heard, warned

from fia import Concept, Settings
from fia.loading import Runtime
from fia.recommended import recommend
from fia.settings import UNION
from fia.web.finding import settings_of
from fia.web.forms import FindForm
from fia.web.offers import Offer, make_offers

CHURCH = [Concept("church")]


@pytest.fixture
def offers() -> dict[str, Offer]:
    """Both embedded models, and another."""
    return {offer.label: offer for offer in make_offers(["testbed-dit", "owner/name"], 8)}


def form(**numbers: float) -> FindForm:
    return FindForm(model="testbed", concepts=[{"name": "church"}], **numbers)


@pytest.mark.parametrize("model", ["testbed", "testbed-dit"])
def test_concepts_are_found_with_what_is_recommended(model: str, offers: dict[str, Offer]) -> None:
    assert settings_of(form(), offers[model], CHURCH) == recommend(model, CHURCH)


def test_any_other_model_takes_the_papers_settings(offers: dict[str, Offer]) -> None:
    assert settings_of(form(), offers["owner/name"], CHURCH) == (Settings().resolved(UNION), CHURCH)


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
    off, on = (make_offers(["owner/name"], 8, keeps)[1] for keeps in (False, True))
    with heard() as messages:
        assert on.load(Runtime()).safety_checker is checker
    assert messages == []
    with warned(r"safety checker is off.*blackens images.* owner/name on, use fia serve --keep-safety-checker"):
        assert off.load(Runtime()).safety_checker is None


def test_a_model_without_one_is_passed_over_in_silence(pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runtime, "load", lambda *_: pipe)
    with heard() as messages:
        make_offers([], 8)[0].load(Runtime())
    assert messages == []
