"""Loads what ships with the package: the pipeline, its CLIP and the judge."""

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from transformers import ResNetForImageClassification

FOLDER = Path(__file__).parent / "weights"


def load_testbed(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """Returns the test-bed's pipeline in float32 on the CPU, without downloading anything.

    Args:
        folder: written by `fia testbed train`; the weights of the package by default.
    """
    return StableDiffusionPipeline.from_pretrained(folder / "model", safety_checker=None)


def load_classifier(folder: Path = FOLDER) -> ResNetForImageClassification:
    """Returns the classifier of the test-bed's objects and places, in float32 on the CPU."""
    return ResNetForImageClassification.from_pretrained(folder / "classifier", dtype=torch.float32).eval()
