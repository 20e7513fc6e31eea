"""Masks that rewrite: found, combined, applied, saved, and what they retain."""

import pytest
import torch
from bits import assert_same_bits, bits
from quick_finding import SETTINGS, assert_same_neurons
from same_mask import assert_same_mask
from torch.nn import functional as F
from warned import warned

import fia
from fia import Concept, NeuronMask
from fia.errors import UsageError
from fia.finding import plan, retained
from fia.finding.plan import plan_finding
from fia.finding.retained import near_words
from fia.finding.words import CATEGORIES, in_turn, usable_words
from fia.masks.random_control import random_mask
from fia.models.layers import find_layers

pytestmark = pytest.mark.slow

REWRITE = {"edit": "rewrite", "spatial_ratio": 0.1, "retained_words": 0, "moment_rank": 48}


def find(pipe, concepts, **options):
    return fia.find(pipe, concepts, SETTINGS, progress=False, **REWRITE | options)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(retained, "HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        plan, "usable_words", lambda _pipe, number: in_turn()[:number]
    )  # its tokenizer has letters only
    return tmp_path / "cache"


def assert_same_change(one, other):
    for name in one.shapes:
        torch.testing.assert_close(one.added[name], other.added[name], rtol=1e-2, atol=1e-4)


def test_both_places_are_rewritten_and_every_bit_comes_back(pipe):
    mask = find(pipe, ["church", "tench"])
    assert mask.edit == "rewrite"
    assert {name.split(".transformer_blocks.0.")[1] for name in mask.shapes} == {"ff.net.2", "attn2.to_out.0"}
    before, layers = bits(pipe.unet), find_layers(pipe.unet, sites="both")
    weights = {name: layer.weight.clone().flatten() for name, layer in layers.items()}
    mask.apply(pipe)
    for name, expected in weights.items():
        expected[mask.pruned[name].long()] += mask.added[name]
        assert torch.equal(layers[name].weight.flatten(), expected)
    mask.apply(pipe)  # again: nothing changes
    mask.remove(pipe)
    assert_same_bits(pipe.unet, before)


@pytest.mark.parametrize("sites", ["feed-forward", "cross-attention"])
def test_one_place(pipe, sites):
    mask = find(pipe, "church", sites=sites)
    assert list(mask.shapes) == list(find_layers(pipe.unet, sites=sites))
    mask.apply(pipe)
    assert mask.is_applied(pipe)


def test_the_new_values_do_what_they_are_for(pipe):
    """With every neuron free and next to nothing retained, most of the effect is removed; otherwise, less moves."""
    mask = find(pipe, "church", spatial_ratio=1.0, response_rank=16, retain_weight=1e-6)
    assert mask.effects.removed["church"] > 0.7
    careful = find(pipe, "church", spatial_ratio=1.0, response_rank=16, retain_weight=10.0)
    assert careful.effects.removed["church"] < mask.effects.removed["church"]
    assert careful.effects.moved < mask.effects.moved


def test_a_target_beyond_the_base_prompts_output_is_reached_by_as_much_more_change(pipe):
    """D is linear in the target (formula 11)."""
    mask, beyond = find(pipe, "church"), find(pipe, "church", target_scale=3.0)
    assert_same_neurons(beyond, mask)
    for name in mask.shapes:
        torch.testing.assert_close(beyond.added[name], 3 * mask.added[name])


def test_two_masks_together_are_the_mask_of_both(pipe):
    both = find(pipe, ["church", "tench"], keep=["horse"])
    united = find(pipe, "church", keep=["horse"]) | find(pipe, "tench", keep=["horse"])
    assert united.concepts == both.concepts
    assert_same_neurons(united, both)
    assert united.rewriting.sources.keys() == both.rewriting.sources.keys()
    assert_same_change(united, both)
    assert_same_change(both.without("tench"), find(pipe, "church", keep=["horse"]))
    assert_same_change(both.only("tench"), find(pipe, "tench", keep=["horse"]))


def test_what_one_mask_keeps_and_another_forgets_is_forgotten(pipe):
    united = find(pipe, "church", keep=["tench"]) | find(pipe, "tench")
    assert united.rewriting.kept_names == []
    assert_same_change(united, find(pipe, ["church", "tench"]))
    assert united.without("tench").rewriting.kept_names == ["tench"]


def test_masks_of_different_edits_or_weights_do_not_mix(pipe):
    one, other = find(pipe, "church"), find(pipe, "tench")
    with pytest.raises(UsageError, match=r"sets them to zero.*with_edit"):
        _ = one.with_edit("zero") | other
    with pytest.raises(UsageError, match="with_retain_weight"):
        _ = one.with_retain_weight(3.0) | other
    assert (one.with_retain_weight(3.0) | other.with_retain_weight(3.0)).concepts == ("church", "tench")


def test_the_same_neurons_set_to_zero(pipe):
    mask = find(pipe, "church")
    zero = mask.with_edit("zero")
    assert (zero.edit, zero.added) == ("zero", None)
    assert zero.fingerprint != mask.fingerprint
    with pytest.raises(UsageError, match="--edit rewrite"):
        zero.with_edit("rewrite")
    with zero.applied(pipe):
        name, layer = next(iter(find_layers(pipe.unet, sites="both").items()))
        assert not layer.weight.flatten()[zero.pruned[name].long()].any()


def test_a_strength_scales_the_change(pipe):
    mask = find(pipe, ["church", "tench"])
    half = mask.with_strengths({"church": 0.5, "tench": 0.5})
    assert half.fingerprint != mask.fingerprint
    for name in mask.shapes:
        torch.testing.assert_close(half.added[name], mask.added[name] / 2)


def test_a_saved_mask_is_the_same(pipe, tmp_path):
    mask = find(pipe, ["church", Concept("Monet", "style")], keep=["horse"], retained_words=3)
    mask.save_pretrained(tmp_path / "mask")
    loaded = NeuronMask.from_pretrained(tmp_path / "mask")
    assert loaded.fingerprint == mask.fingerprint
    assert all(torch.equal(loaded.added[name], mask.added[name]) for name in mask.shapes)
    assert_same_mask(loaded.with_edit("zero"), mask.with_edit("zero"))


def test_the_random_control_rewrites_as_many_connections(pipe):
    mask = find(pipe, ["church", "tench"], agnostic_ratio=0.6)
    control = random_mask(mask, seed=3)
    assert control.edit == "rewrite"
    for name in mask.shapes:
        assert len(control.pruned[name]) == len(mask.pruned[name])
        assert len(control.added[name]) == len(mask.added[name])
    assert control.fingerprint != mask.fingerprint
    control.apply(pipe)
    control.remove(pipe)


def test_in_half_precision(pipe):
    mask = find(pipe, "church")
    before = bits(pipe.unet.half())
    name, layer = next(iter(find_layers(pipe.unet, sites="both").items()))
    indices = mask.pruned[name].long()
    expected = (layer.weight.flatten()[indices].float() + mask.added[name]).half()
    with mask.applied(pipe):
        assert torch.equal(layer.weight.flatten()[indices], expected)
    assert_same_bits(pipe.unet, before)


def test_a_value_too_large_for_the_type_changes_nothing(pipe):
    mask = find(pipe, "church")
    for added in mask.added.values():
        added.fill_(1e6)
    pipe.unet.half()
    before = bits(pipe.unet)
    with pytest.raises(ValueError, match=r"too large for torch\.float16"):
        mask.apply(pipe)
    assert_same_bits(pipe.unet, before)
    assert not mask.is_applied(pipe)


def test_names_to_keep(pipe):
    kept = find(pipe, "church", keep=["horse", "horse", Concept("Monet", "style")])
    assert kept.rewriting.kept_names == ["horse", "Monet"]
    assert [concept["name"] for concept in kept.provenance[0]["keep"]] == ["horse", "Monet"]
    assert find(pipe, "church", keep="horse").rewriting.kept_names == ["horse"]
    with pytest.raises(UsageError, match="'Church' cannot be forgotten and kept"):
        find(pipe, "church", keep=["Church"])
    with pytest.raises(UsageError, match="no effect with zeros"):
        find(pipe, "church", keep=["horse"], edit="zero")
    with pytest.raises(UsageError, match="empty"):
        find(pipe, "church", keep=[" "])


@pytest.mark.parametrize(("near", "blocks"), [(2, {"base", "words", "near"}), (3, {"base", "word"})])
def test_if_most_words_are_near_the_others_are_kept_alone(pipe, tmp_path, monkeypatch, near, blocks):
    monkeypatch.setattr(retained, "near_words", lambda _pipe, _concepts, words: {"church": tuple(words[:near])})
    mask = find(pipe, "church", retained_words=5)
    assert {source.block for source in mask.rewriting.sources.values()} == blocks
    assert mask.rewriting.number_of_words == 5 - near
    mask.save_pretrained(tmp_path)
    assert NeuronMask.from_pretrained(tmp_path).fingerprint == mask.fingerprint


def test_the_words_are_collected_once_for_a_model(pipe, cache):
    first = []
    mask = find(pipe, "church", retained_words=10, on_step=lambda done, total: first.append((done, total)))
    assert 0 < mask.rewriting.number_of_words <= 10
    assert len(mask.provenance[0]["words"]) == 10
    planned = plan_finding(pipe, "church", SETTINGS, **REWRITE | {"retained_words": 10})
    assert first[-1] == (planned.steps_in_all(), planned.steps_in_all())
    (file,) = cache.rglob("*.safetensors")
    second = []
    again = find(pipe, "tench", retained_words=10, on_step=lambda *progress: second.append(progress))
    assert len(second) < len(first)  # the words did not run again
    assert again.rewriting.sources.keys() >= {key for key in mask.rewriting.sources if key.startswith("words")}
    file.write_bytes(file.read_bytes()[:-7])
    with warned("is damaged"):
        repaired = find(pipe, "church", retained_words=10)
    assert_same_change(repaired, mask)


def test_another_model_or_other_layers_have_their_own_words(pipe, cache):
    find(pipe, "church", retained_words=2)
    find(pipe, "church", retained_words=2, sites="feed-forward")
    with torch.no_grad():
        pipe.unet.conv_in.weight.mul_(1.01)
    find(pipe, "church", retained_words=2)
    assert len(list(cache.rglob("*.safetensors"))) == 3


def test_a_cache_that_cannot_be_written_is_said(pipe, cache):
    cache.write_text("a file where the folder should be")
    with warned("HF_HOME"):
        find(pipe, "church", retained_words=2)


def test_a_word_that_is_a_concept_is_near_it(pipe):
    near = near_words(pipe, [fia.Concept("church"), fia.Concept("golf ball")], ["church", "ball", "dog"])
    assert "church" in near["church"]
    assert "ball" in near["golf ball"]


def test_what_all_texts_share_makes_no_word_near(pipe, monkeypatch):
    def features(_pipe, names):
        own = torch.eye(len(names) + 1)[1:]
        for row, name in zip(own, names, strict=True):
            row[0] = 10 * (name in ("church", "chapel"))
        return F.normalize(own + 5, dim=1)  # any two have a cosine above 0.9

    monkeypatch.setattr(retained, "text_features", features)
    assert near_words(pipe, [Concept("church")], ["chapel", "abacus"]) == {"church": ("chapel",)}


def test_the_list_has_no_word_twice_and_its_start_has_every_category():
    words = in_turn()
    assert len({word for word, _ in words}) == len(words) >= 300
    assert {category for _, category in words[:20]} == set(CATEGORIES)


def test_only_words_that_the_tokenizer_has_are_used():
    pipe = fia.load_testbed()
    used = [word for word, _ in usable_words(pipe, 1000)]
    assert "cat" in used
    assert "violin" not in used  # the embedded model's tokenizer cuts it into fragments
    assert usable_words(pipe, 3) == usable_words(pipe, 1000)[:3]


@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
def test_the_rows_and_calls_that_are_planned_are_those_that_come(pipe, guidance_scale):
    options = REWRITE | {"retained_words": 10, "keep": ["horse"], "guidance_scale": guidance_scale}
    planned = plan_finding(pipe, ["church", "tench"], SETTINGS, **options)
    rows = []
    pipe.unet.conv_in.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    find(pipe, ["church", "tench"], **options)
    assert (planned.rows, planned.calls) == (sum(rows), len(rows))
