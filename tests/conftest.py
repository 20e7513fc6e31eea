"""Fixtures: tiny pipelines with random weights, and a mask that fits one of them."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

os.environ["OMP_NUM_THREADS"] = "1"  # workers, and the processes that tests start, share the cores

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not IS_WORKER:  # what masks retain is kept there; all workers share it, and it is gone afterwards
    os.environ["HF_HOME"] = mkdtemp(prefix="fia-tests-")

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from jaxtyping import config, install_import_hook
from tiny_pipelines import tiny_sd, tiny_sdxl

install_import_hook("fia", "checked_types.check")  # it checks only modules that are imported later

from large_model import large_model  # noqa: F401 (a fixture)

from fia import NeuronMask, recommended
from fia.models.layers import count_parameters, hash_weights, layer_shapes, maskable_layers

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts the files with slow tests first, so that no worker waits for the other at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_unconfigure() -> None:
    """Deletes what masks retained."""
    if not IS_WORKER:
        shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


@pytest.fixture
def any_types() -> Iterator[None]:
    """Lets a test pass values that the annotations forbid, to see how they are refused."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finds without a look at the words first, which takes time; see tests/finding/test_checks.py."""
    monkeypatch.setattr("fia.finding.run.warn_of_unknown", lambda _: None)


@pytest.fixture
def few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the recommended settings find with a few prompts: where we look whether code runs, that is as good."""
    for name in ("REWRITTEN", "ZEROED_CASES"):
        cases = {
            model: tuple(replace(case, settings=replace(case.settings, prompts_per_concept=2)) for case in own)
            for model, own in getattr(recommended, name).items()
        }
        monkeypatch.setattr(recommended, name, cases)


@pytest.fixture
def pipe() -> StableDiffusionPipeline:
    """A fresh pipeline of the same shape as Stable Diffusion 1.x."""
    return tiny_sd()


@pytest.fixture
def xl_pipe() -> StableDiffusionXLPipeline:
    """A fresh pipeline of the same shape as Stable Diffusion XL."""
    return tiny_sdxl()


@pytest.fixture
def mask(pipe: StableDiffusionPipeline) -> NeuronMask:
    """A random mask of three concepts for `pipe`. One, two or all three concepts claim a connection."""
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
