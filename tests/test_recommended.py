"""Which settings are recommended for which model and concepts."""

import pytest
from diffusers import StableDiffusionPipeline

import fia
from fia import Concept, Settings
from fia.finding.plan import choose_settings
from fia.models.layers import find_layers
from fia.models.pipelines import EMBEDDED, embedded_name
from fia.recommended import REWRITTEN, WAYS_OF_TEXT, ZEROED_CASES, recommend
from fia.settings import UNION
from fia.testbed.pretrained import NAMES, load_testbed


def names(model: str, *concepts: Concept) -> str:
    """Returns the name of the case that is taken."""
    return next(case.name for case in ZEROED_CASES[model] if case.fits(concepts))


def test_the_case_depends_on_the_concepts() -> None:
    things, style = [Concept(f"thing {i}") for i in range(3)], Concept("Monet", kind="style")
    assert names("testbed", things[0]) == "one object"
    assert names("testbed", *things[:2]) == names("testbed", things[0], style) == "two objects"
    assert names("testbed", *things) == names("testbed", *things, style) == "more objects, or several kinds"
    assert names("testbed", style, style) == "styles"
    assert names("testbed", Concept("smoking", kind="explicit")) == "smoking"


def test_a_ratio_of_ones_own_stays() -> None:
    _, (church, horse) = recommend("testbed", [Concept("church", spatial_ratio=0.5), Concept("horse")], zero=True)
    assert church.spatial_ratio == 0.5
    assert horse.spatial_ratio is None
    _, (church,) = recommend("testbed", [Concept("church")], zero=True)
    assert church.spatial_ratio == 0.15


def test_no_more_prompts_are_recommended_than_a_kind_has() -> None:
    settings, _ = recommend("testbed", [*(Concept(f"thing {i}") for i in range(3)), Concept("naked", kind="explicit")])
    assert settings.prompts_per_concept == 13


def test_another_model_has_the_defaults() -> None:
    concepts = [Concept("church")]
    assert recommend("somebody/else", concepts) == (Settings(), concepts)
    assert recommend("somebody/else", concepts, zero=True) == (Settings(edit="zero"), concepts)


def test_one_setting_serves_every_case_of_rewriting() -> None:
    style, thing = Concept("Monet", kind="style"), Concept("thing")
    assert {recommend("testbed", concepts)[0] for concepts in ([thing], [style], [thing, style])} == {
        REWRITTEN["testbed"][0].settings
    }


@pytest.fixture
def embedded(pipe: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """A tiny pipeline that says it is the embedded model."""
    pipe.register_to_config(**{EMBEDDED: "testbed"})
    return pipe


def test_finding_takes_what_is_recommended_unless_it_is_given(embedded: StableDiffusionPipeline) -> None:
    recommended = recommend("testbed", [Concept("church")], zero=True)[0].resolved(UNION)
    zero = {"edit": "zero"}
    (church,), settings = choose_settings(embedded, "church", None, zero)
    assert (church.spatial_ratio, settings) == (0.15, recommended)
    (church,), settings = choose_settings(embedded, "church", None, zero | {"seed": 7})
    assert (church.spatial_ratio, settings.seed, settings.prompts_per_concept) == (0.15, 7, 30)
    (church,), settings = choose_settings(embedded, "church", None, zero | {"spatial_ratio": 0.01})
    assert (church.spatial_ratio, settings.spatial_ratio) == (None, 0.01)
    (church,), settings = choose_settings(embedded, "church", None, {})
    assert (settings.edit, settings.sites, settings.spatial_ratio, settings.guidance_scale) == (
        "rewrite",
        "both",
        0.05,
        1.0,
    )


def test_sites_that_are_asked_for_replace_the_recommended_layers(pipe: StableDiffusionPipeline) -> None:
    pipe.register_to_config(**{EMBEDDED: "testbed-mmdit"})
    recommended = choose_settings(pipe, "church", None, {})[1]
    assert recommended.layers == WAYS_OF_TEXT
    assert choose_settings(pipe, "church", None, {"seed": 7})[1].layers == WAYS_OF_TEXT
    settings = choose_settings(pipe, "church", None, {"sites": "feed-forward"})[1]
    assert (settings.layers, settings.sites, settings.retain_weight) == (None, "feed-forward", 4.0)
    settings = choose_settings(pipe, "church", None, {"sites": "both", "layers": "*.ff.net.2"})[1]
    assert settings.layers == "*.ff.net.2"


def test_the_ways_of_the_text_add_its_attention_and_the_pooled_text() -> None:
    denoiser = load_testbed(architecture="mmdit").transformer
    layers = set(find_layers(denoiser, WAYS_OF_TEXT))
    assert layers > set(find_layers(denoiser, sites="both"))
    added = {name.split(".", 2)[-1] for name in layers - set(find_layers(denoiser, sites="both"))}
    assert added == {"attn.to_add_out", "linear_2"}


def test_another_model_of_the_same_name_is_another_model(pipe: StableDiffusionPipeline) -> None:
    pipe.register_to_config(_name_or_path="testbed")
    (church,), settings = choose_settings(pipe, "church", None, {})
    assert (church.spatial_ratio, settings) == (None, Settings().resolved(0.6))


def test_the_embedded_models_say_what_they_are() -> None:
    for name, architecture in NAMES.items():
        assert embedded_name(load_testbed(architecture=architecture)) == name
        assert name in REWRITTEN
        assert name in ZEROED_CASES


def test_settings_that_are_given_are_taken_as_they_are(embedded: StableDiffusionPipeline) -> None:
    (church,), settings = choose_settings(embedded, "church", Settings(edit="zero"), {})
    assert (church.spatial_ratio, settings) == (None, Settings(edit="zero").resolved(0.6))
    assert (settings.spatial_ratio, settings.sites, settings.agnostic_ratio) == (0.03, "feed-forward", 0.6)


def test_the_papers_settings_are_taken_in_its_mode(embedded: StableDiffusionPipeline) -> None:
    (church,), settings = choose_settings(embedded, "church", None, {"mode": "paper"})
    assert (church.spatial_ratio, settings) == (0.007, Settings(mode="paper").resolved(0.6))
    assert (settings.edit, settings.sites, settings.agnostic_ratio) == ("zero", "feed-forward", 0.6)


def test_the_record_says_what_was_used(embedded: StableDiffusionPipeline) -> None:
    quick = {"num_inference_steps": 4, "saliency_steps": 1, "prompts_per_concept": 2}
    record = fia.find(embedded, "church", progress=False, edit="zero", **quick).provenance[0]
    assert record["settings"]["guidance_scale"] == 1.0
    assert record["concepts"][0]["spatial_ratio"] == 0.15
