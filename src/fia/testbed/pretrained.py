"""Loads what ships with the package: the pipeline, its CLIP and the judge."""

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPModel, CLIPTokenizer, ResNetForImageClassification

FOLDER = Path(__file__).parent / "weights"
GUIDANCE_SCALE = 4.0  # at which the judge recognises most; at Stable Diffusion's 7.5 pictures are cruder


def load_testbed(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """Returns the test-bed's pipeline in float32 on the CPU, without downloading anything.

    Args:
        folder: written by `fia testbed train`; the weights of the package by default.
    """
    pipe = StableDiffusionPipeline.from_pretrained(folder / "model")
    pipe.register_to_config(_name_or_path="testbed")
    return pipe


def load_clip(folder: Path = FOLDER) -> tuple[CLIPModel, CLIPTokenizer]:
    """Returns the CLIP whose text tower is the test-bed's text encoder, in float32 on the CPU, and its tokenizer.

    It takes images (n, 3, 64, 64) in [-1, 1] and gives the similarity of picture and caption.
    """
    clip = CLIPModel.from_pretrained(folder / "clip", dtype=torch.float32).eval()
    return clip, CLIPTokenizer.from_pretrained(folder / "clip")


def load_classifier(folder: Path = FOLDER) -> ResNetForImageClassification:
    """Returns the classifier of the test-bed's subjects, places, styles and attribute, in float32 on the CPU."""
    return ResNetForImageClassification.from_pretrained(folder / "classifier", dtype=torch.float32).eval()
