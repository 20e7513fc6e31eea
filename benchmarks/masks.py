"""Measures masks at the size of Stable Diffusion 1.5: the time to load, compose and switch them, and their file size.

    python benchmarks/masks.py runs/masks

Neurons and weights are random, because only their number matters. Each concept claims the share r2 of each layer. That
is more than finding selects, because the filters of Eq. 4-6 take the intersection of two such shares. It writes
masks.json; docs/masks.md has its table.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from tqdm.auto import tqdm

from fia import Library, NeuronMask, Policy
from fia.masks.file import NEURONS
from fia.models.layers import count_parameters, hash_weights, layer_shapes, maskable_layers
from fia.provenance import environment

CONCEPTS = 100
REPEATS = 5


def sd15_unet() -> UNet2DConditionModel:
    """Returns a U-Net of Stable Diffusion 1.5's size, with random weights."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
    )


def pipeline(unet: nn.Module) -> StableDiffusionPipeline:
    """Returns a pipeline that has only a denoiser."""
    return StableDiffusionPipeline(
        vae=None,
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def random_concepts(unet: UNet2DConditionModel, share: float) -> NeuronMask:
    """Returns a mask of CONCEPTS concepts. Each has a random share of the connections of each layer."""
    generator, shapes = torch.Generator().manual_seed(0), layer_shapes(maskable_layers(unet))
    neurons = {
        f"concept {i}": {
            name: torch.randint(outputs * inputs, (round(share * outputs * inputs),), generator=generator)
            .unique()
            .int()
            for name, (outputs, inputs) in shapes.items()
        }
        for i in tqdm(range(CONCEPTS), desc="inventing concepts")
    }
    architecture, parameters = type(unet).__name__, count_parameters(unet)
    return NeuronMask(neurons, shapes, 0.6, architecture, parameters, hash_weights(maskable_layers(unet)))


def seconds(work: Callable[[], Any]) -> float:
    """Returns the median seconds that some work takes."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(unet: UNet2DConditionModel, share: float, folder: Path) -> dict[str, float]:
    """Returns all numbers for concepts of one size."""
    pipe, everything = pipeline(unet), random_concepts(unet, share)
    library = Library(folder / f"library-{share:g}")
    library.add(everything, replace=True)
    name = everything.concepts[0]
    one = library.folder / "concept-0"
    ten = library.compose(everything.concepts[:10])
    neurons = sum(map(len, everything.neurons[name].values()))
    policy = Policy(pipe, {"ten": ten})

    def switch() -> None:
        with policy("ten"):
            pass

    def compose() -> None:
        assert library.compose().number_pruned

    return {
        "share of each layer, %": 100 * share,
        "neurons a concept": neurons,
        "bytes a neuron": (one / NEURONS).stat().st_size / neurons,
        "seconds to load one concept": seconds(lambda: NeuronMask.from_pretrained(one)),
        "seconds to load and fuse 100": seconds(compose),
        "seconds to fuse 100": seconds(lambda: everything.with_agnostic_ratio(0.6).number_pruned),
        "seconds to check the weights": seconds(lambda: hash_weights(maskable_layers(unet))),
        "seconds to switch ten on and off": seconds(switch),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.01, 0.02])
    options = parser.parse_args()
    unet = sd15_unet()
    rows = [measure(unet, share, options.out) for share in options.shares]
    result = {"environment": environment(torch.device("cpu")), "threads": torch.get_num_threads(), "rows": rows}
    (options.out / "masks.json").write_text(json.dumps(result, indent=2) + "\n")
    for key in rows[0]:
        print(f"{key:<36}" + "".join(f"{row[key]:>14,.4g}" for row in rows))


if __name__ == "__main__":
    main()
