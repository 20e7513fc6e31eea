"""Loads a pipeline by the name a command was given: the test-bed, a folder, or a repository of the Hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from diffusers import DiffusionPipeline
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from .testbed import load_testbed

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass
class Runtime:
    """Where a model runs."""

    device: str = "auto"
    """auto takes a GPU where there is one; or cpu, cuda, cuda:1, mps."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """auto takes float16 on a GPU, float32 elsewhere."""


def load_pipeline(model: str, *, device: str = "auto", dtype: str = "auto") -> DiffusionPipeline:
    """Returns a pipeline on its device.

    Args:
        model: "testbed", a diffusers folder, or the id of a repository.
        device: "auto" takes a GPU where there is one; otherwise as torch names it.
        dtype: "auto" takes float16 on a GPU and float32 elsewhere; otherwise one of DTYPES.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: for an unknown dtype or device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if dtype not in ("auto", *DTYPES):
        raise ValueError(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}.")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used here ({error}).") from None
    chosen = DTYPES.get(dtype, torch.float32 if torch.device(device).type == "cpu" else torch.float16)
    if model == "testbed":
        return load_testbed().to(device, chosen)
    if Path(model).exists() and not (Path(model) / "model_index.json").is_file():
        raise FileNotFoundError(f"{model} is no diffusers model: there is no model_index.json in it.")
    try:
        if not Path(model).exists():
            validate_repo_id(model)
        return DiffusionPipeline.from_pretrained(model, dtype=chosen).to(device)
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        if Path(model).exists():
            raise FileNotFoundError(f"{model} cannot be loaded: {error}") from None
        raise FileNotFoundError(
            f"There is no folder {model!r}, and no such model could be fetched from the Hub. Give 'testbed', the "
            f"path of a diffusers folder, or a repository's id. ({error})"
        ) from None
