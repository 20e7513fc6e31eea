"""Fixtures: tiny pipelines with random weights, and a mask that fits one of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from jaxtyping import config, install_import_hook
from tiny_pipelines import tiny_sd, tiny_sdxl

install_import_hook("fia", "checked_types.check")  # checks what is imported after it

from fia import NeuronMask  # noqa: E402
from fia.models.layers import count_parameters, hash_weights, layer_shapes, maskable_layers  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def any_types() -> Iterator[None]:
    """Lets a test hand over what the annotations forbid, to see how it is refused."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def pipe() -> StableDiffusionPipeline:
    """A fresh pipeline of Stable Diffusion 1.x's shape."""
    return tiny_sd()


@pytest.fixture
def xl_pipe() -> StableDiffusionXLPipeline:
    """A fresh pipeline of Stable Diffusion XL's shape."""
    return tiny_sdxl()


@pytest.fixture
def mask(pipe: StableDiffusionPipeline) -> NeuronMask:
    """A mask of three concepts for `pipe`, at random, in which some neurons are claimed by one, two and all three."""
    generator = torch.Generator().manual_seed(1)
    shapes = layer_shapes(maskable_layers(pipe.unet))
    neurons = {
        concept: {
            name: torch.randperm(outputs * inputs, generator=generator)[:400].sort().values.int()
            for name, (outputs, inputs) in shapes.items()
        }
        for concept in ("church", "golf ball", "Van Gogh")
    }
    return NeuronMask(
        neurons=neurons,
        shapes=shapes,
        agnostic_ratio=0.9,
        architecture="UNet2DConditionModel",
        denoiser_parameters=count_parameters(pipe.unet),
        weights_hash=hash_weights(maskable_layers(pipe.unet)),
        provenance=[
            {
                "model": "tiny",
                "settings": {"seed": 0},
                "concepts": [
                    {"name": "church", "kind": "object"},
                    {"name": "golf ball", "kind": "object"},
                    {"name": "Van Gogh", "kind": "style"},
                ],
            }
        ],
    )


@pytest.fixture
def folder(mask: NeuronMask, tmp_path: Path) -> Path:
    """A folder with a saved mask."""
    mask.save_pretrained(tmp_path / "mask")
    return tmp_path / "mask"
