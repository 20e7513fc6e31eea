"""Fixtures: a float16 checkpoint in its original layout, the folder of its configs, and a mask that fits XL."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from original_layout import original_checkpoint
from safetensors.torch import save_file
from tiny_pipelines import tiny_sd

from fia import NeuronMask
from fia.models.layers import count_parameters, hash_weights, layer_shapes, maskable_layers

METADATA = {"modelspec.title": "tiny", "note": "kept as it is"}


@pytest.fixture(scope="session")
def configs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A diffusers folder of the same kind of model with other weights."""
    folder = tmp_path_factory.mktemp("configs") / "tiny"
    tiny_sd(seed=5).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single-file checkpoint of `tiny_sd()`."""
    file = tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors"
    save_file(original_checkpoint(tiny_sd().to(torch.float16)), file, METADATA)
    return file


@pytest.fixture
def xl_mask(xl_pipe: StableDiffusionXLPipeline) -> NeuronMask:
    """A random mask of one concept, with no neurons in the first layer."""
    generator = torch.Generator().manual_seed(2)
    shapes = layer_shapes(maskable_layers(xl_pipe.unet))
    neurons = {
        name: torch.randperm(outputs * inputs, generator=generator)[: 200 if i else 0].sort().values.int()
        for i, (name, (outputs, inputs)) in enumerate(shapes.items())
    }
    return NeuronMask(
        neurons={"church": neurons},
        shapes=shapes,
        agnostic_ratio=0.9,
        architecture="UNet2DConditionModel",
        denoiser_parameters=count_parameters(xl_pipe.unet),
        weights_hash=hash_weights(maskable_layers(xl_pipe.unet)),
    )
