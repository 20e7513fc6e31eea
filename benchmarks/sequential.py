"""The plain way to run the method, as a baseline for the engine.

Each prompt runs alone, from the first step to the last. The base prompts run again for each concept. The activations of
the first steps are copied to the CPU and scored there after all prompts have run. Equations 1 to 6 are those of the
package.
"""

from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn
from tqdm.auto import tqdm

from fia import Settings
from fia.finding.neurons import TemporalIntegral, select_neurons
from fia.finding.plan import pair_prompts
from fia.finding.saliency import connection_saliency, contrastive_saliency
from fia.finding.sums import Mean, Moments
from fia.models.layers import MaskableLayer, maskable_layers
from fia.models.pipelines import hidden_progress_bar
from fia.prompts import ConceptPairs

Activations = dict[str, list[tuple[Tensor, Tensor]]]  # X and Y of each layer at each step


def find_sequentially(pipe: StableDiffusionPipeline, concepts: Any, settings: Settings) -> dict[str, dict[str, Tensor]]:
    """Returns the sensitive neurons of each concept and layer."""
    pairs: ConceptPairs = pair_prompts(concepts, settings)
    layers = maskable_layers(pipe.unet)
    found: dict[str, dict[str, Tensor]] = {}
    with tqdm(total=2 * sum(len(own) for _, own in pairs), unit="prompt", desc="sequentially") as bar:
        for concept, own in pairs:
            passed = []
            for prompt, seed in [(p.base_prompt, p.seed) for p in own] + [(p.concept_prompt, p.seed) for p in own]:
                passed.append(generate(pipe, layers, prompt, seed, settings))
                bar.update()
            base, with_concept = passed[: len(own)], passed[len(own) :]
            found[concept.name] = {
                name: select(layer, [a[name] for a in base], [a[name] for a in with_concept], settings)
                for name, layer in layers.items()
            }
    return found


def generate(
    pipe: StableDiffusionPipeline, layers: dict[str, MaskableLayer], prompt: str, seed: int, settings: Settings
) -> Activations:
    """Generates one prompt; returns the activations of the layers in the first steps, for the conditional row only."""
    passed: Activations = {name: [] for name in layers}

    def hook_for(name: str, layer: MaskableLayer) -> Any:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            if len(passed[name]) < settings.saliency_steps:
                inputs, outputs = layer.passed(args, output)
                passed[name].append((inputs[-1].cpu(), outputs[-1].cpu()))

        return hook

    handles = [layer.module.register_forward_hook(hook_for(name, layer)) for name, layer in layers.items()]
    try:
        with hidden_progress_bar(pipe):
            pipe(
                prompt,
                generator=torch.Generator("cpu").manual_seed(seed),
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale,
                output_type="latent",
            )
    finally:
        for handle in handles:
            handle.remove()
    return passed


def select(
    layer: MaskableLayer,
    base: list[list[tuple[Tensor, Tensor]]],
    with_concept: list[list[tuple[Tensor, Tensor]]],
    settings: Settings,
) -> Tensor:
    """Returns one concept's neurons in one layer, from the activations of the base prompts and the concept prompts."""
    weight, bias = layer.weight.cpu(), None if layer.bias is None else layer.bias.cpu()
    integral = TemporalIntegral((layer.out_features, layer.in_features))
    for step in range(settings.saliency_steps):
        moments, mean = Moments(), Mean()
        for prompt in base:
            moments.add(connection_saliency(weight, *prompt[step], bias)[None])
        for prompt in with_concept:
            mean.add(connection_saliency(weight, *prompt[step], bias)[None])
        contrast = contrastive_saliency(mean.mean(), moments.mean_plus_std())
        integral.add(contrast, settings.temporal_ratio)
    assert settings.spatial_ratio is not None
    return select_neurons(integral.aggregate(), settings.spatial_ratio)
