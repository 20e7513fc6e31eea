"""Named masks on a pipeline: load, set, enable, disable, delete, and swaps while others generate."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from bits import assert_same_bits, bits
from tiny_pipelines import tiny_sd

import fia


@pytest.fixture
def before(pipe):
    return bits(pipe.unet)


@pytest.fixture
def loaded(pipe, mask):
    adapters = fia.adapters(pipe)
    adapters.load("church", mask.only("church"))
    adapters.load("rest", mask.without("church"))
    return adapters


def test_a_mask_is_loaded_from_a_folder_and_changes_nothing_until_it_is_set(pipe, folder, mask, before) -> None:
    adapters = fia.adapters(pipe)
    adapters.load("all", folder)
    assert (adapters.names, adapters.active()) == (("all",), {})
    assert_same_bits(pipe.unet, before)
    adapters.set("all")
    assert adapters.active() == {"all": 1.0}
    assert mask.is_applied(pipe)


def test_an_id_of_the_hub_is_fetched(pipe, folder, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("fia.masks.file.snapshot_download", lambda *a, **k: asked.append((a[0], k)) or str(folder))
    fia.adapters(pipe).load("all", "somebody/no-church", revision="v2")
    assert asked[0][0] == "somebody/no-church"
    assert asked[0][1]["revision"] == "v2"


def test_several_are_one_mask_at_their_weights(pipe, mask, loaded, before) -> None:
    loaded.set(["church", "rest"], [0.5, 1])
    assert loaded.active() == {"church": 0.5, "rest": 1}
    assert fia.current_mask(pipe).fingerprint == mask.with_strengths({"church": 0.5}).fingerprint
    loaded.set([])
    assert loaded.active() == {}
    assert_same_bits(pipe.unet, before)


def test_weights_scale_the_strengths_that_a_mask_has(pipe, mask) -> None:
    adapters = fia.adapters(pipe)
    adapters.load("weak", mask.with_strengths({"church": 0.5}))
    adapters.set("weak", 0.5)
    assert fia.current_mask(pipe).strengths == {"church": 0.25, "golf ball": 0.5, "Van Gogh": 0.5}


def test_they_go_off_and_on_again(pipe, loaded, before) -> None:
    loaded.set("church", 0.5)
    masked = bits(pipe.unet)
    for _ in range(2):
        loaded.disable()
        assert loaded.active() == {}
        assert_same_bits(pipe.unet, before)
    for _ in range(2):
        loaded.enable()
        assert loaded.active() == {"church": 0.5}
        assert_same_bits(pipe.unet, masked)


def test_a_deleted_one_goes_off_and_the_others_stay_on(pipe, mask, loaded, before) -> None:
    loaded.set(["church", "rest"])
    loaded.delete("church")
    assert (loaded.names, loaded.active()) == (("rest",), {"rest": 1.0})
    assert mask.without("church").is_applied(pipe)
    loaded.disable()
    loaded.delete("rest")
    loaded.enable()
    assert (loaded.names, loaded.active()) == ((), {})
    assert_same_bits(pipe.unet, before)


def test_a_replaced_one_is_swapped_at_once(pipe, mask, loaded) -> None:
    loaded.set("church", 0.5)
    with pytest.raises(ValueError, match="A mask 'church' is loaded already; give replace=True"):
        loaded.load("church", mask.only("golf ball"))
    loaded.load("church", mask.only("golf ball"), replace=True)
    assert loaded.active() == {"church": 0.5}
    assert fia.current_mask(pipe).concepts == ("golf ball",)


def test_every_call_and_every_pipeline_of_the_denoiser_gives_the_same(pipe, loaded) -> None:
    loaded.set("church")
    other = type(pipe)(**pipe.components, requires_safety_checker=False)
    assert fia.adapters(other).active() == {"church": 1.0}
    assert fia.adapters(tiny_sd()).names == ()
    assert repr(loaded) == "<Adapters of StableDiffusionPipeline: 'church' at 1, 'rest' off>"


def test_what_was_taken_off_by_other_means_is_not_active(pipe, loaded, before) -> None:
    loaded.set("church")
    fia.remove(pipe)
    assert loaded.active() == {}
    loaded.disable()
    assert_same_bits(pipe.unet, before)
    loaded.enable()
    assert loaded.active() == {"church": 1.0}


def test_a_mask_that_was_applied_by_other_means_is_left_alone(pipe, mask, loaded) -> None:
    mask.apply(pipe)
    with pytest.raises(ValueError, match=r"A mask \(church, golf ball, Van Gogh\) is applied"):
        loaded.set("church")
    loaded.disable()
    assert mask.is_applied(pipe)


@pytest.mark.parametrize(
    ("names", "weights", "message"),
    [
        ("chruch", 1, "No mask 'chruch' is loaded; the loaded ones are: church, rest, all. Did you mean 'church'"),
        (["church", "rest"], [1], "There are 2 names but 1 weights"),
        ("church", 0, r"weight 0 of 'church' is not in \(0, 1\]"),
        ("church", 1.5, "weight 1.5"),
        (["church", "all"], 1, "Both masks hold 'church'"),
    ],
)
def test_what_cannot_be_set_leaves_the_pipeline_as_it_is(names, weights, message, mask, loaded) -> None:
    loaded.load("all", mask)
    loaded.set("rest")
    with pytest.raises(ValueError, match=message):
        loaded.set(names, weights)
    assert loaded.active() == {"rest": 1.0}


def test_a_mask_of_another_model_is_refused_under_a_mask_too(loaded) -> None:
    other = fia.find(tiny_sd(seed=1), "cat", edit="zero", num_inference_steps=2, saliency_steps=1, progress=False)
    for put_on in ((), "church"):
        loaded.set(put_on)
        with pytest.raises(ValueError, match=r"other weights|different models"):
            loaded.load("other", other)
    assert loaded.names == ("church", "rest")


def test_a_swap_that_fails_puts_the_old_mask_back(pipe, loaded, monkeypatch) -> None:
    loaded.set("church")
    masked = bits(pipe.unet)
    apply = fia.NeuronMask.apply

    def fail(own, *arguments, **options):
        if "golf ball" in own.concepts:
            raise RuntimeError("no")
        apply(own, *arguments, **options)

    monkeypatch.setattr(fia.NeuronMask, "apply", fail)
    with pytest.raises(RuntimeError, match="no"):
        loaded.set("rest")
    assert loaded.active() == {"church": 1.0}
    assert_same_bits(pipe.unet, masked)


def test_swaps_wait_for_the_image_that_is_being_generated(pipe, loaded, before) -> None:
    weight = pipe.unet.get_submodule(next(iter(loaded._shelf.masks["church"].shapes))).weight
    torn = []

    def generate() -> None:
        for _ in range(40):
            with loaded.generating():
                torn.append(not torch.equal(weight.clone(), weight))
                assert len(loaded.active()) == 1

    def swap() -> None:
        for i in range(40):
            loaded.set(("church", "rest")[i % 2])

    loaded.set("church")
    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(work) for work in (generate, swap, generate)]:
            done.result()
    assert not any(torn)
    loaded.disable()
    assert_same_bits(pipe.unet, before)
