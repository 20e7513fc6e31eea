"""find and forget, stage by stage put together: what runs, what it depends on, and what is left behind."""

import json
from dataclasses import replace

import pytest
import torch
from bits import assert_same_bits, bits
from quick_finding import SETTINGS, assert_clean, assert_same_neurons, find
from warned import warned

import fia
from fia import Concept
from fia.finding import collect, memory
from fia.finding import run as finding_run
from fia.models.layers import maskable_layers


@pytest.fixture
def exact_pipe(pipe):
    """`pipe` in float64, in which batches of other sizes give the same float32 saliency."""
    return pipe.to(torch.float64)


@pytest.fixture
def rows(pipe):
    """Numbers of rows in each evaluation of the denoiser of `pipe`, as they come."""
    seen = []
    pipe.unet.conv_in.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    return seen


@pytest.mark.slow
def test_base_prompts_run_once_for_all_concepts_of_a_kind(pipe, rows):
    find(pipe, ["church", "tench", "golf ball"], guidance_scale=1)
    assert sum(rows) == 2 * (2 + 3 * 2)  # steps * (base prompts + three concepts' prompts)
    rows.clear()
    find(pipe, ["church", "tench", Concept("Monet", "style"), Concept("naked", "explicit")])
    assert sum(rows) == 2 * 2 * ((2 + 2 * 2) + (2 + 2) + (2 + 2))  # and twice with guidance


@pytest.mark.slow
def test_base_prompts_run_again_for_every_group_of_concepts(exact_pipe, rows):
    whole = find(exact_pipe, ["church", "tench", "golf ball"])
    rows.clear()
    parts = find(exact_pipe, ["church", "tench", "golf ball"], concepts_at_once=2)
    assert sum(rows) == 2 * 2 * ((2 + 2 * 2) + (2 + 2))
    assert_same_neurons(parts, whole)


@pytest.mark.slow
def test_layers_are_watched_in_several_runs_where_the_sums_do_not_fit_the_memory(pipe, rows, monkeypatch):
    whole = find(pipe, ["church", "tench"])
    rows.clear()
    # four layers of 16 x 64 connections; two numbers for each, and two for each concept
    monkeypatch.setattr(memory, "numbers_that_fit", lambda _: 6 * 16 * 64 * 3)
    with warned("2 concepts at once do not fit the memory.*in 2 runs.*smaller concepts_at_once"):
        parts = find(pipe, ["church", "tench"])
    assert sum(rows) == 2 * (2 * 2 * (2 + 2 * 2))  # twice: steps, guidance, prompts
    assert list(parts.shapes) == list(whole.shapes)
    assert_same_neurons(parts, whole)  # exactly, since batches are the same


@pytest.mark.parametrize("saliency_steps", [1, 4, 6])
def test_only_the_saliency_steps_are_run(pipe, rows, saliency_steps):
    find(pipe, "church", saliency_steps=saliency_steps, guidance_scale=1, batch_size=100)
    assert rows == [4] * saliency_steps


def test_every_step_is_told(pipe):
    seen = []
    find(pipe, ["church", Concept("Monet", "style")], on_step=lambda *step: seen.append(step))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]  # two steps for each kind


def test_what_a_listener_raises_stops_the_finding_and_leaves_nothing_behind(pipe):
    def stop(done, _total):
        raise InterruptedError(f"after step {done}")

    before = bits(pipe.unet)
    with pytest.raises(InterruptedError, match="after step 1"):
        find(pipe, "church", on_step=stop)
    assert_same_bits(pipe.unet, before)
    assert "forward" not in vars(pipe.unet)
    assert not any(layer.module._forward_hooks for layer in maskable_layers(pipe.unet).values())


@pytest.mark.slow
@pytest.mark.parametrize("guidance_scale", [1, 7.5])
def test_the_batch_size_does_not_matter(exact_pipe, guidance_scale):
    masks = [find(exact_pipe, ["church", "tench"], batch_size=n, guidance_scale=guidance_scale) for n in (1, 3, 100)]
    assert_same_neurons(masks[0], masks[1])
    assert_same_neurons(masks[0], masks[2])


@pytest.mark.slow
def test_the_order_of_concepts_does_not_matter(exact_pipe):
    concepts = ["church", Concept("Monet", "style"), "tench"]
    one, other = find(exact_pipe, concepts), find(exact_pipe, concepts[::-1])
    assert one.concepts == ("church", "Monet", "tench")
    assert other.concepts == one.concepts[::-1]
    assert_same_neurons(one, other)
    assert all(torch.equal(one.pruned[name], other.pruned[name]) for name in one.shapes)


@pytest.mark.slow
def test_a_concept_is_found_the_same_in_any_company(exact_pipe):
    everyone = find(exact_pipe, ["church", "tench", Concept("Monet", "style")])
    for concept in ("church", "tench", Concept("Monet", "style")):
        assert_same_neurons(find(exact_pipe, concept), everyone)


def test_a_mask_without_a_concept_is_the_mask_found_without_it(exact_pipe):
    fewer, alone = (
        find(exact_pipe, ["church", "tench", "golf ball"]).without("tench"),
        find(exact_pipe, ["church", "golf ball"]),
    )
    assert fewer.concepts == alone.concepts
    assert_same_neurons(fewer, alone)
    assert all(torch.equal(fewer.pruned[name], alone.pruned[name]) for name in alone.shapes)


@pytest.mark.slow
def test_every_concept_has_its_own_ratios(exact_pipe):
    concepts = [Concept("church", spatial_ratio=0.2), Concept("tench", temporal_ratio=0.5), "golf ball"]
    mixed = find(exact_pipe, concepts)
    for concept, overrides in (
        ("church", {"spatial_ratio": 0.2}),
        ("tench", {"temporal_ratio": 0.5}),
        ("golf ball", {}),
    ):
        assert_same_neurons(find(exact_pipe, concept, **overrides), mixed)
        if overrides:
            plain = find(exact_pipe, concept)
            assert any(not torch.equal(plain.neurons[concept][n], mixed.neurons[concept][n]) for n in plain.shapes)


def test_a_ratio_of_zero_is_a_ratio_and_not_a_missing_one(exact_pipe):
    mask = find(exact_pipe, [Concept("church", spatial_ratio=0), Concept("tench", temporal_ratio=0)])
    assert all(len(indices) == 0 for indices in mask.neurons["church"].values())
    assert_same_neurons(find(exact_pipe, "tench", temporal_ratio=0), mask)


def test_own_prompts_are_the_ones_that_are_run(pipe, monkeypatch):
    asked = []
    original = collect.run_first_steps
    monkeypatch.setattr(
        collect,
        "run_first_steps",
        lambda pipe, unet, prompts, *args, **kw: asked.append(prompts) or original(pipe, unet, prompts, *args, **kw),
    )
    own = Concept("church", prompts=(("red church", "red hut"), ("old church", "old hut"), ("church", "hut")))
    mask = find(pipe, [own, "tench"])
    assert asked[0] == ["red hut", "old hut", "hut", "red church", "old church", "church"]
    assert asked[1][:2] == ["a beach", "a forest"]
    assert mask.provenance[0]["concepts"][0]["prompts"][2] == {
        "concept_prompt": "church",
        "base_prompt": "hut",
        "seed": 2,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("concepts", "alpha"),
    [(["church"], 0.6), ([Concept("Monet", "style")], 0.8), (["church", Concept("Monet", "style")], 0.6)],
)
def test_alpha_is_the_papers_unless_it_is_given(pipe, concepts, alpha):
    assert find(pipe, concepts).agnostic_ratio == alpha
    assert find(pipe, concepts, agnostic_ratio=0).agnostic_ratio == 0


@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
def test_finding_leaves_the_pipeline_as_it_was(request, fixture):
    pipe = request.getfixturevalue(fixture)
    pipe.set_progress_bar_config(desc="mine")
    before, random_state = bits(pipe.unet), torch.get_rng_state()
    mask = find(pipe, "church")
    assert mask.number_pruned > 0
    assert_clean(pipe, before)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_words_that_the_model_does_not_read_are_warned_of(pipe):
    long = "a church " + "in a forest " * 30
    with warned(r"in a forest.* is longer than the model's \d+ tokens; .*in a forest' is ignored"):
        find(pipe, Concept("church", prompts=((long, "a forest"),)))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_midway_leaves_the_pipeline_as_it_was(pipe, monkeypatch, error):
    pipe.set_progress_bar_config(desc="mine")
    before, calls = bits(pipe.unet), []

    def fail(_weight, inputs, *_):
        calls.append(None)
        if len(calls) == 6:  # in the second step
            raise error("midway")
        return torch.zeros(len(inputs), 16, 64)

    monkeypatch.setattr(finding_run, "connection_saliency", fail)
    with pytest.raises(error, match="midway"):
        find(pipe, "church")
    assert_clean(pipe, before)


@pytest.mark.slow
def test_out_of_memory_starts_the_group_over_with_smaller_batches(exact_pipe, monkeypatch):
    expected = find(exact_pipe, ["church", "tench"])
    original, batches = collect.run_first_steps, []

    def run_first_steps(*args, batch_size, on_step, **options):
        batches.append(batch_size)

        def step():
            on_step()
            if len(batches) == 1:  # after a whole step, so that sums would be wrong if they were kept
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")

        original(*args, batch_size=batch_size, on_step=step, **options)

    monkeypatch.setattr(collect, "run_first_steps", run_first_steps)
    assert_same_neurons(find(exact_pipe, ["church", "tench"]), expected)
    assert len(batches) == 2
    assert batches[1] < batches[0] == SETTINGS.batch_size


def test_memory_that_does_not_suffice_for_one_row_is_an_error(pipe, monkeypatch):
    def run_first_steps(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")

    monkeypatch.setattr(collect, "run_first_steps", run_first_steps)
    with pytest.raises(MemoryError, match="Out of memory even with one row"):
        find(pipe, "church")


def test_forgetting_applies_what_finding_finds(pipe):
    found = find(pipe, ["church", "tench"])
    mask = fia.forget(pipe, ["church", "tench"], SETTINGS, progress=False)
    assert_same_neurons(mask, found)
    assert found.is_applied(pipe)
    zeros = sum(int((layer.weight == 0).sum()) for layer in maskable_layers(pipe.unet).values())
    assert zeros == mask.number_pruned > 0


def test_a_masked_pipeline_must_be_freed_first(pipe):
    mask = fia.forget(pipe, "church", SETTINGS, progress=False)
    edited = bits(pipe.unet)
    with pytest.raises(ValueError, match=r"A mask \(church\) is applied to this pipeline.*Remove it first"):
        find(pipe, "tench")
    assert_same_bits(pipe.unet, edited)
    mask.remove(pipe)
    assert find(pipe, "tench").number_pruned > 0


def test_settings_and_overrides_are_recorded_as_plain_json(pipe):
    mask = find(pipe, Concept("Monet", "style", spatial_ratio=0.1), seed=9)
    record = json.loads(json.dumps(mask.provenance[0]))
    assert record["settings"] == vars(replace(SETTINGS, seed=9).resolved(0.8))
    (concept,) = record["concepts"]
    assert (concept["name"], concept["kind"], concept["spatial_ratio"]) == ("Monet", "style", 0.1)
    assert [pair["seed"] for pair in concept["prompts"]] == [9, 10]
    assert (record["pipeline"], record["scheduler"], record["device"]) == (
        *("StableDiffusionPipeline", "DDIMScheduler", "cpu"),
    )
    assert set(record["versions"]) == {"fia", "torch", "diffusers", "transformers"}


def test_errors_of_settings_and_concepts_come_before_anything_runs(pipe, rows):
    with pytest.raises(TypeError, match="spatial"):
        find(pipe, "church", spatial=0.1)
    with pytest.raises(ValueError, match=r"spatial_ratio=2 is outside \[0, 1\]"):
        find(pipe, "church", spatial_ratio=2)
    with pytest.raises(ValueError, match="No concept was given"):
        find(pipe, [])
    with pytest.raises(ValueError, match="prompts_per_concept=31"):
        find(pipe, "church", prompts_per_concept=31)
    assert rows == []
