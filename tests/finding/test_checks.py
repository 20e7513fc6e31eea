"""Names that a model does not know, concepts that are spared, and guidance that a model was not trained with."""

from dataclasses import replace

import pytest
import torch
from tiny_pipelines import tiny_sd
from warned import heard, warned

import fia
from fia import Concept
from fia.cli import main
from fia.finding import probe
from fia.finding.checks import read_words, warn_of_guidance
from fia.finding.plan import plan_finding
from fia.models.pipelines import KNOWN
from fia.settings import Settings


def test_a_misspelt_name_is_refused_by_the_embedded_model_with_the_right_one(tmp_path, capsys):
    assert main(["forget", "testbed", "chruch", "--out", str(tmp_path / "mask")]) == 2
    assert "The embedded model does not know 'chruch'. Did you mean 'church'?" in capsys.readouterr().err
    pipe = fia.load_testbed()
    for concept in (Concept("the Church|chapel"), Concept("smoking man"), Concept("a|b", prompts=(("x", "y"),))):
        assert read_words(pipe, concept) == concept
    with pytest.raises(ValueError, match=r"does not know 'hourse'\. Did you mean 'horse'"):
        fia.find(pipe, "zebra", keep=["hourse"])
    with warned(r"does not know 'chapl'\. Did you mean 'chapel'\? 'church' is found without this synonym"):
        assert read_words(pipe, Concept("church|chapel|chapl")).words == ("church", "chapel")


def test_any_other_model_may_know_any_name(pipe):
    assert read_words(pipe, Concept("chruch|chapl")).words == ("chruch", "chapl")


def test_a_word_that_a_model_hardly_answers_to_is_warned_of_with_the_figure(pipe, monkeypatch):
    plan = plan_finding(pipe, ["church|chapel", Concept("Monet", "style")], retained_words=0)
    monkeypatch.setattr(probe, "contrasts", lambda _, concepts: [4.0 if c.name == "church" else 2.0 for c in concepts])
    with heard() as messages:
        probe.warn_of_unknown(plan)
    assert [message[:60] for message in messages] == ["The model answers to 'chapel' only 1.00 times as much as to "]


@pytest.mark.parametrize("known", ["", "church"])
def test_finding_looks_at_the_words_first_unless_it_knows_them(pipe, monkeypatch, known):
    looked: list[object] = []
    monkeypatch.setattr("fia.finding.run.warn_of_unknown", looked.append)
    pipe.register_to_config(**{KNOWN: known})
    options = {"num_inference_steps": 2, "saliency_steps": 1, "prompts_per_concept": 1, "retained_words": 0}
    fia.find(pipe, "church", progress=False, **options)
    assert len(looked) == (0 if known else 1)


def test_the_contrast_is_the_same_for_the_same_word_and_zero_for_none(pipe):
    plan = plan_finding(pipe, "church", retained_words=0, concepts_at_once=1)
    one, two, other = probe.contrasts(plan, [Concept("cat"), Concept("cat"), Concept("tench")])
    assert one == two != other
    assert probe.answers(plan, [probe.MADE_UP[0], "church"]).keys() == {probe.MADE_UP[0], "church"}


@pytest.mark.slow
def test_the_embedded_model_answers_to_what_it_knows_more_than_to_what_it_does_not():
    pipe = fia.load_testbed()
    pipe.register_to_config(**{KNOWN: ""})
    plan = plan_finding(pipe, ["elephant", "helicopter"], retained_words=0)
    figures = probe.answers(plan, ["elephant", "helicopter"])
    assert figures["elephant"] > probe.LEAST > figures["helicopter"]


def test_concepts_that_are_mostly_spared_and_masks_that_do_nothing_are_warned_of(mask):
    same = {"church": mask.neurons["church"], "the church": mask.neurons["church"]}
    with (
        warned(r"changes nothing in the model"),
        warned("100% of the neurons of 'the church' are spared .*church|chapel"),
    ):
        replace(mask, neurons=same).warn_if_idle()
    with heard() as messages:
        mask.warn_if_idle()
        replace(mask, neurons=same, agnostic_ratio=1.1).warn_if_idle()
        mask.without(*mask.concepts).warn_if_idle()
    assert not messages


def test_distilled_guidance_far_from_what_is_usual_is_warned_of():
    from tiny_transformers import tiny_transformer

    flux = tiny_transformer("flux").transformer
    with warned("guidance_scale=7.5, but FluxTransformer2DModel guides itself"):
        warn_of_guidance(flux, Settings())
    with heard() as messages:
        warn_of_guidance(flux, Settings(guidance_scale=3.5))
        warn_of_guidance(tiny_sd().unet, Settings())
    assert not messages


def test_synonyms_are_one_concept_with_all_their_prompts(pipe, tmp_path):
    options = {
        "num_inference_steps": 4,
        "saliency_steps": 2,
        "prompts_per_concept": 2,
        "progress": False,
        "edit": "zero",
    }
    mask = fia.find(pipe, "church|chapel", **options)
    assert mask.concepts == ("church",)
    assert mask.synonyms == {"church": ("chapel",)}
    (concept,) = mask.provenance[0]["concepts"]
    assert [pair["concept_prompt"] for pair in concept["prompts"]] == [
        *("a church in a beach", "a church near a forest"),
        *("a chapel in a beach", "a chapel near a forest"),
    ]
    mask.save_pretrained(tmp_path)
    loaded = fia.NeuronMask.from_pretrained(tmp_path)
    assert loaded.synonyms == mask.synonyms
    assert loaded.provenance == mask.provenance
    assert "- church (object), also chapel" in (tmp_path / "README.md").read_text()
    assert fia.find(pipe, Concept("church", synonyms=("chapel",)), **options).fingerprint == mask.fingerprint
    assert torch.equal(next(iter(loaded.pruned.values())), next(iter(mask.pruned.values())))
