"""Fixtures: a tiny image classifier with labels as in ImageNet, and images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ConvNextImageProcessorPil, ResNetConfig, ResNetForImageClassification

LABELS = {
    0: "church, church building",
    1: "cassette player",
    2: "crane",
    3: "crane",
    4: "tench, Tinca tinca",
    5: "chain saw, chainsaw",
}


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ResNet of random weights and its image processor."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label=LABELS,
        label2id={label: i for i, label in LABELS.items()},
    )
    folder = tmp_path_factory.mktemp("classifier")
    ResNetForImageClassification(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    """Five images of noise. The first two are equal."""
    arrays = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    arrays[1] = arrays[0]
    return [Image.fromarray(array) for array in arrays]
