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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from fia import Library, NeuronMask, Policy, Settings
from fia.finding.retained import LIST_RANK, WORD_RANK
from fia.masks.file import NEURONS
from fia.masks.low_rank import Moment, Response
from fia.masks.rewriting import Rewriting, Source
from fia.models.layers import count_parameters, hash_weights, layer_shapes, maskable_layers
from fia.provenance import environment
from fia.settings import UNION

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


def random_rewriting(unet: UNet2DConditionModel, concepts: int) -> NeuronMask:
    """Returns a mask that rewrites random neurons, as many as r2 says, for each concept, with random statistics.

    Each concept has one word near it, so that its list of words is less than the whole.
    """
    settings, generator = Settings().resolved(UNION), torch.Generator().manual_seed(0)
    shapes = layer_shapes(maskable_layers(unet, sites="both"))

    assert settings.spatial_ratio is not None
    r2 = settings.spatial_ratio

    def directions(length: int, rank: int) -> Tensor:
        basis: Tensor = torch.linalg.qr(torch.randn(length, min(rank, length), generator=generator)).Q
        return basis

    def moments(rank: int) -> dict[str, Moment]:
        spectrum = torch.logspace(1, -2, rank)
        return {name: Moment(directions(i, rank).half(), spectrum[:i], 0.005) for name, (_, i) in shapes.items()}

    def responses() -> dict[str, Response]:
        rank = settings.response_rank
        return {
            name: Response(directions(o, rank).half(), torch.ones(rank), directions(i, rank).half())
            for name, (o, i) in shapes.items()
        }

    names = [f"concept {i}" for i in range(concepts)]
    near = {name: Source("near", moments(WORD_RANK)) for name in names}
    words = Source("words", moments(LIST_RANK), settings.retained_words)
    return NeuronMask(
        neurons={
            name: {
                layer: torch.randint(o * i, (round(r2 * o * i),), generator=generator).unique().int()
                for layer, (o, i) in shapes.items()
            }
            for name in names
        },
        shapes=shapes,
        agnostic_ratio=UNION,
        architecture=type(unet).__name__,
        denoiser_parameters=count_parameters(unet),
        weights_hash=hash_weights(maskable_layers(unet, sites="both")),
        sites="both",
        rewriting=Rewriting(
            moments={name: moments(settings.moment_rank) for name in names},
            responses={name: responses() for name in names},
            sources={"base": Source("base", moments(settings.moment_rank)), "words": words}
            | {f"near {name}": source for name, source in near.items()},
            near={name: (f"near {name}",) for name in names},
            retain_weight=settings.retain_weight,
            ridge=settings.ridge,
        ),
        provenance=[
            {
                "model": "random",
                "settings": asdict(settings),
                "concepts": [{"name": n, "kind": "object"} for n in names],
            }
        ],
    )


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
    parser.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.01, 0.02, 0.05])
    options = parser.parse_args()
    unet = sd15_unet()
    rows = [measure(unet, share, options.out) for share in options.shares]
    result = {"environment": environment(torch.device("cpu")), "threads": torch.get_num_threads(), "rows": rows}
    (options.out / "masks.json").write_text(json.dumps(result, indent=2) + "\n")
    for key in rows[0]:
        print(f"{key:<36}" + "".join(f"{row[key]:>14,.4g}" for row in rows))


if __name__ == "__main__":
    main()
