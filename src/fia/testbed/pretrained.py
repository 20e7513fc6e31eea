"""Loads the models that ship with the package: the pipeline, its CLIP and the judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPModel, CLIPTokenizer, ResNetForImageClassification
from transformers.utils import logging as transformers_logging

from ..errors import NotFoundError
from ..files import read_json
from ..models.pipelines import EMBEDDED, KNOWN
from .catalogue import Catalogue
from .large import LARGE
from .mmdit import ABSENT, MiniatureSD3Pipeline
from .transformer import MiniaturePixArtPipeline
from .world import SMALL

Architecture = Literal["unet", "dit", "mmdit"]
NAMES: dict[str, Architecture] = {"testbed": "unet", "testbed-dit": "dit", "testbed-mmdit": "mmdit"}
TRANSFORMERS: dict[Architecture, type[DiffusionPipeline]] = {
    "dit": MiniaturePixArtPipeline,
    "mmdit": MiniatureSD3Pipeline,
}
SHARED = ("vae", "text_encoder", "tokenizer")  # parts that all architectures use
FOLDER = Path(__file__).parent / "weights"
GUIDANCE_SCALE = 4.0  # the judge recognises most at this scale; at Stable Diffusion's 7.5, images are cruder


def load_testbed(folder: Path = FOLDER, architecture: Architecture = "unet") -> DiffusionPipeline:
    """Returns the embedded model's pipeline in float32 on the CPU. It downloads nothing.

    Args:
        folder: a folder that `fia testbed train` wrote. The default is the package's weights.
        architecture: "unet" for Stable Diffusion's U-Net; "dit" for the diffusion transformer with cross-attention, and
            "mmdit" for the one with joint attention, which work on the same captions and latents.

    Raises:
        FileNotFoundError: if the folder does not hold that model.
    """
    for part in ("model",) if architecture == "unet" else ("model", architecture):
        if not (folder / part / "model_index.json").is_file():
            raise NotFoundError(
                f"{folder} holds no embedded model: there is no {part} in it. fia testbed train makes one."
            )
    with _no_loading_bars():
        pipe = StableDiffusionPipeline.from_pretrained(folder / "model")
        if architecture in TRANSFORMERS:
            shared = {name: pipe.components[name] for name in SHARED}
            shared |= dict.fromkeys(ABSENT) if architecture == "mmdit" else {}
            pipe = TRANSFORMERS[architecture].from_pretrained(folder / architecture, **shared)
    name = "testbed" if architecture == "unet" else f"testbed-{architecture}"
    known = "|".join(catalogue_of(folder).known_names)
    pipe.register_to_config(**{"_name_or_path": name, EMBEDDED: name, KNOWN: known})
    return pipe


def catalogue_of(folder: Path) -> Catalogue:
    """Returns what the model in a folder knows. The labels of its judge say it.

    Raises:
        FileNotFoundError: if the folder holds no embedded model.
    """
    if not (folder / "classifier" / "config.json").is_file():
        raise NotFoundError(
            f"{folder} holds no embedded model: there is no classifier in it. fia testbed train makes one."
        )
    labels = read_json(folder / "classifier" / "config.json")["id2label"]
    return LARGE if LARGE.objects[-1].name in labels.values() else SMALL


@contextmanager
def _no_loading_bars() -> Iterator[None]:
    """Hides the loading bars of the libraries, which take longer to read than the model to load."""
    shown = [library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()


def load_clip(folder: Path = FOLDER) -> tuple[CLIPModel, CLIPTokenizer]:
    """Returns the CLIP in float32 on the CPU, and its tokenizer.

    Its text tower is the embedded model's text encoder. It takes images (n, 3, 64, 64) in [-1, 1] and returns the
    similarity of image and caption.
    """
    clip = CLIPModel.from_pretrained(folder / "clip", dtype=torch.float32).eval()
    return clip, CLIPTokenizer.from_pretrained(folder / "clip")


def load_classifier(folder: Path = FOLDER) -> ResNetForImageClassification:
    """Returns the classifier of the subjects, places, styles and attribute, in float32 on the CPU."""
    return ResNetForImageClassification.from_pretrained(folder / "classifier", dtype=torch.float32).eval()
