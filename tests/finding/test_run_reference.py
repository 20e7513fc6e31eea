"""The whole of find against the equations in loops, on activations that plain single-prompt runs left behind."""

import numpy as np
import pytest
import reference
import torch
from diffusers import HeunDiscreteScheduler, PNDMScheduler

import fia
from fia import Concept, Settings
from fia.finding import run as unlearn

pytestmark = pytest.mark.slow

SETTINGS = Settings(
    edit="zero",
    prompts_per_concept=3,
    num_inference_steps=5,
    saliency_steps=2,
    spatial_ratio=0.05,
    temporal_ratio=0.1,
    batch_size=4,
)
CONCEPTS = (
    Concept("church"),
    Concept("Monet", "style", spatial_ratio=0.1, temporal_ratio=0.03),
    Concept("golf ball", spatial_ratio=0.08),
    Concept("tench", prompts=(("a tench", "a pond"), ("old tench", "old pond"))),
)
# U is about 1 here and float32 rounds at 6e-8 of it; the sums of Eq. 1 to 3, in other orders, make that a few 1e-7.
# No S of these weights lies as close to a threshold tau.
TOLERANCE = 1e-6


def pairs_of(concept):
    """The paper's prompts for the first places and objects, written out."""
    if concept.prompts:
        return concept.prompts
    name = concept.name
    if concept.kind == "style":
        return [(f"a {slot} in the style of {name}", f"a {slot}") for slot in ("cat", "car", "chair")]
    return [
        (f"a {name} in a beach", "a beach"),
        (f"a {name} near a forest", "a forest"),
        (f"a {name} in the road", "a road"),
    ]


def saliency_of_prompt(pipe, prompt, seed, guidance_scale):
    """Runs one prompt from noise to the end; returns U of Eq. 1 for each layer at each of the first timesteps."""
    timesteps, passed = [], {}
    layers = {name: layer for name, layer in pipe.unet.named_modules() if name.endswith("ff.net.2")}

    def keep(name):
        def hook(_, args, output):
            # The last row is the prompt's; with guidance, the one before it is the empty prompt's. Where a scheduler
            # evaluates a timestep again, the first time counts.
            passed.setdefault((name, timesteps[-1]), (args[0][-1], output[-1]))

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    handles.append(pipe.unet.time_proj.register_forward_pre_hook(lambda _, args: timesteps.append(float(args[0][0]))))
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    pipe(
        prompt,
        num_inference_steps=SETTINGS.num_inference_steps,
        guidance_scale=guidance_scale,
        generator=generator,
        output_type="latent",
    )
    for handle in handles:
        handle.remove()
    first = list(dict.fromkeys(timesteps))[: SETTINGS.saliency_steps]
    return {
        name: [
            reference.connection_saliency(
                layer.weight.detach(), passed[name, t][0], passed[name, t][1].double() - layer.bias.detach().double()
            )
            for t in first
        ]
        for name, layer in layers.items()
    }


def reference_find(pipe, guidance_scale):
    """A of Eq. 3 and the selected neurons for each concept and layer."""
    aggregated, selected = {}, {}
    for concept in CONCEPTS:
        r1 = SETTINGS.temporal_ratio if concept.temporal_ratio is None else concept.temporal_ratio
        r2 = SETTINGS.spatial_ratio if concept.spatial_ratio is None else concept.spatial_ratio
        pairs = list(enumerate(pairs_of(concept)))
        with_concept = [saliency_of_prompt(pipe, prompt, seed, guidance_scale) for seed, (prompt, _) in pairs]
        without = [saliency_of_prompt(pipe, prompt, seed, guidance_scale) for seed, (_, prompt) in pairs]
        for name in without[0]:
            steps = [
                reference.contrastive_saliency([u[name][t] for u in with_concept], [u[name][t] for u in without])
                for t in range(SETTINGS.saliency_steps)
            ]
            aggregated[concept.name, name] = reference.aggregate(steps, r1)
            selected[concept.name, name] = reference.select_neurons(aggregated[concept.name, name], r2)
    return aggregated, selected


def tied_at_a_boundary(aggregated, spatial_ratio):
    """Flat indices whose A is within rounding of the last value taken of their row, or of the layer."""
    rows = -np.sort(-aggregated, axis=1)[:, reference.number_of(spatial_ratio, aggregated.shape[1]) - 1 :][:, :1]
    layer = -np.sort(-aggregated, axis=None)[reference.number_of(spatial_ratio, aggregated.size) - 1]
    tied = (abs(aggregated - rows) <= TOLERANCE) | (abs(aggregated - layer) <= TOLERANCE)
    return set(np.flatnonzero(tied).tolist())


@pytest.mark.parametrize(
    ("fixture", "guidance_scale", "scheduler"),
    [
        ("pipe", 7.5, None),
        ("pipe", 1, None),
        ("pipe", 7.5, PNDMScheduler),
        ("pipe", 7.5, HeunDiscreteScheduler),
        ("xl_pipe", 7.5, None),
    ],
)
def test_find_is_the_method(request, monkeypatch, fixture, guidance_scale, scheduler):
    pipe = request.getfixturevalue(fixture)
    if scheduler:
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    aggregated, selected = reference_find(pipe, guidance_scale)
    ours = []
    original = unlearn.select_neurons
    monkeypatch.setattr(unlearn, "select_neurons", lambda a, ratio: ours.append(a.clone()) or original(a, ratio))
    mask = fia.find(pipe, CONCEPTS, SETTINGS, progress=False, guidance_scale=guidance_scale)

    ratios = {concept.name: concept.spatial_ratio or SETTINGS.spatial_ratio for concept in CONCEPTS}
    # Groups are found in the order of their first concept: both objects, then the style, then the own prompts.
    found = [(concept, name) for concept in ("church", "golf ball", "Monet", "tench") for name in mask.shapes]
    for (concept, name), values in zip(found, ours, strict=True):
        np.testing.assert_allclose(values.numpy(), aggregated[concept, name], rtol=0, atol=TOLERANCE)
        differing = set(mask.neurons[concept][name].tolist()) ^ set(selected[concept, name])
        assert differing <= tied_at_a_boundary(aggregated[concept, name], ratios[concept])
    assert all(len(indices) > 5 for indices in selected.values())
    for name in mask.shapes:
        assert mask.pruned[name].tolist() == reference.fuse([mask.neurons[c][name] for c in mask.concepts], 0.6)
