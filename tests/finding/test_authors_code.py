"""Mode "authors-code" against a slow loop written from the table of docs/method.md: the same neurons, exactly."""

import math

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline
from tiny_transformers import tiny_transformer

import fia
from fia import Concept, Settings
from fia.finding.authors_code import select_as_authors_code
from fia.finding.plan import choose_settings
from fia.prompts import prompt_pairs

pytestmark = pytest.mark.slow

STEPS, FIRST, R1 = 5, 3, 0.1
QUICK = {
    "mode": "authors-code",
    "temporal_ratio": R1,
    "num_inference_steps": STEPS,
    "saliency_steps": FIRST,
    "prompts_per_concept": 4,
    "batch_size": 3,
}
ONE_PROMPT = QUICK | {"prompts_per_concept": 1, "saliency_steps": 1}
CONCEPTS = (Concept("church", spatial_ratio=0.05), Concept("golf ball", spatial_ratio=0.0301))


def norms_of_prompt(pipe, prompt):
    """Runs one prompt from the authors' seed to the end; returns ||X[:,j]|| by layer at each call of the denoiser.

    Each token's row is divided by its norm, and both halves of the guidance count.
    """
    passed = {}

    def keep(name):
        def hook(_, args):
            rows = args[0].double().flatten(0, 1).numpy()
            normalised = [row / math.sqrt(row @ row) for row in rows]
            passed.setdefault(name, []).append(np.sqrt(sum(row**2 for row in normalised)))

        return hook

    layers = {name: layer for name, layer in pipe.unet.named_modules() if name.endswith("ff.net.2")}
    handles = [layer.register_forward_pre_hook(keep(name)) for name, layer in layers.items()]
    pipe.set_progress_bar_config(disable=True)
    torch.manual_seed(1244)
    pipe(prompt, num_inference_steps=STEPS, guidance_scale=7.5, output_type="latent")
    for handle in handles:
        handle.remove()
    return passed


def slow_neurons(pipe, concept):
    """The neurons of a concept in every layer, as flat indices."""
    places = ("road", "tree", "forest", "lawn")
    near = ("in a", "near the", "in a", "near the")
    of_concept = [
        norms_of_prompt(pipe, f"a {concept.name} {at} {place}") for place, at in zip(places, near, strict=True)
    ]
    of_base = [norms_of_prompt(pipe, f"a {place}") for place in places]
    found = {}
    for name, weight in pipe.unet.state_dict().items():
        if not name.endswith("ff.net.2.weight"):
            continue
        layer, size = name.removesuffix(".weight"), weight.numel()
        magnitudes = np.abs(weight.double().numpy())
        mean, often = np.zeros(weight.shape), np.zeros(weight.shape)
        for step in range(FIRST):
            concepts, bases = ([norms[layer][step] for norms in own] for own in (of_concept, of_base))
            average = sum(bases) / 4
            spread = np.sqrt(sum((base - average) ** 2 for base in bases) / 4)
            saliency = magnitudes * np.maximum(0, sum(concepts) / 4 - average - spread)
            tau = np.sort(saliency, axis=None)[::-1][math.floor(R1 * size) - 1]
            mean, often = mean + saliency / FIRST, often + (saliency > tau) / FIRST
        aggregated = mean / mean.max() / 2 + often / 2
        rows, columns = weight.shape
        in_row, in_layer = (math.floor(concept.spatial_ratio * number) for number in (columns, size))
        best_of_rows = {i * columns + int(j) for i in range(rows) for j in np.argsort(-aggregated[i])[:in_row]}
        found[layer] = sorted(best_of_rows & set(np.argsort(-aggregated, axis=None)[:in_layer].tolist()))
    return found


@pytest.mark.parametrize("scheduler", [None, PNDMScheduler])
def test_the_neurons_are_those_of_the_slow_loop(pipe: StableDiffusionPipeline, scheduler) -> None:
    if scheduler:  # it evaluates the second timestep twice, which are two steps here
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    pipe.to(torch.float64)  # in which rows give the same float32 norms in any company
    mask = fia.find(pipe, CONCEPTS, progress=False, **QUICK)
    for concept in CONCEPTS:
        expected = slow_neurons(pipe, concept)
        assert {name: own.tolist() for name, own in mask.neurons[concept.name].items()} == expected
        assert min(map(len, expected.values())) > 5


def test_zero_saliency_fills_up_and_shares_are_rounded_down() -> None:
    aggregated = torch.zeros(2, 5)
    aggregated[0, 3] = 1.0
    assert len(select_as_authors_code(aggregated, 0.99)) > 1  # floor(4.95) = 4 a row, floor(9.9) = 9 in all
    assert select_as_authors_code(aggregated, 0.39).tolist()[:1] == [3]  # floor(1.95) = 1 a row
    assert select_as_authors_code(aggregated, 0.0).tolist() == [3]  # at least one a row, and one in all


def test_its_mask_of_one_concept_changes_nothing_and_says_so(
    pipe: StableDiffusionPipeline, caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    mask = fia.find(pipe, "naked", progress=False, **ONE_PROMPT)
    assert "ceil(0.6 * 1) = 1 or more concepts claim, which is everything" in caplog.text
    assert (mask.agnostic_threshold, mask.number_pruned) == (1, 0)
    assert mask.number_spared == mask.neuron_counts["naked"] > 0
    mask.save_pretrained(tmp_path)
    assert fia.NeuronMask.from_pretrained(tmp_path).number_pruned == 0
    assert mask.with_agnostic_ratio(1.01).number_pruned == mask.number_spared
    caplog.clear()
    two = fia.find(pipe, ["church", "golf ball"], progress=False, **ONE_PROMPT)
    assert "which is everything" not in caplog.text
    assert two.agnostic_threshold == 2
    with pytest.raises(ValueError, match="found with mode='authors-code', which has another rule of fusion"):
        two | fia.find(pipe, "chair", progress=False, **ONE_PROMPT | {"mode": "paper"})


def test_defaults_are_those_of_the_authors_code(pipe: StableDiffusionPipeline) -> None:
    concepts, settings = choose_settings(pipe, ["church", "Van Gogh", "cat", "sexual"], None, {"mode": "authors-code"})
    assert [(concept.spatial_ratio, concept.temporal_ratio) for concept in concepts] == [
        (0.007, None),
        (0.03, None),
        (0.007, None),
        (0.01, None),
    ]
    [forest], _ = choose_settings(pipe, Concept("forest", "place"), None, {"mode": "authors-code"})
    assert forest.spatial_ratio == 0.007
    assert (settings.edit, settings.sites, settings.magnitude, settings.seed) == ("zero", "feed-forward", "max", 1244)
    assert choose_settings(pipe, "cat", None, {"mode": "authors-code", "spatial_ratio": 0.2})[0] == [Concept("cat")]


def test_prompts_are_those_of_the_authors_code_except_for_children() -> None:
    options = {"prompts_per_concept": None, "seeds_per_prompt": 1, "seed": 1244, "as_authors_code": True}
    own = prompt_pairs(Concept("church"), **options)
    assert len(own) == len({pair.base_prompt for pair in own}) == 30
    assert {pair.seed for pair in own} == {1244}
    assert [pair.concept_prompt for pair in own[10:12]] == ["a church in a cafe", "a church near the office"]
    assert own[11].base_prompt == "a office"
    assert len(prompt_pairs(Concept("Monet", "style"), **options)) == 30
    explicit = prompt_pairs(Concept("naked", "explicit"), **options)
    children = {"girl", "boy", "kid", "child", "student"}
    assert len(explicit) == 13
    assert not any(set(pair.concept_prompt.split()) & children for pair in explicit)


@pytest.mark.parametrize("setting", [{"edit": "rewrite"}, {"count_ties": True}])
def test_what_the_authors_code_does_not_do_is_refused(setting) -> None:
    with pytest.raises(ValueError, match="mode='authors-code' sets the neurons to zero, and ties do not count"):
        Settings(mode="authors-code", **setting)


def test_a_denoiser_without_a_guidance_batch_is_refused() -> None:
    with pytest.raises(TypeError, match="mode='authors-code' counts both halves of the guidance batch"):
        fia.find(tiny_transformer("flux"), CONCEPTS, **ONE_PROMPT)
