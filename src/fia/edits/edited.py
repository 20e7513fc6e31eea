"""What other tools made: an edited model as a folder, a denoiser's weights as a file, or a LoRA.

Files are read as safetensors only: nothing in them is executed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diffusers import DiffusionPipeline
from diffusers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ..errors import NotFoundError, UsageError
from ..models.pipelines import get_denoiser, without_safety_checker
from .interface import Edit
from .weight_edit import WeightEdit


@dataclass(frozen=True)
class EditedPipeline:
    """A whole model.

    Attributes:
        folder: a diffusers folder.
    """

    folder: Path

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Gives the edited model in the original's type, on its device, with its scheduler. The original stays."""
        dtype, scheduler = get_denoiser(pipe).dtype, pipe.scheduler
        edited = type(pipe).from_pretrained(self.folder, dtype=dtype, scheduler=scheduler, use_safetensors=True)
        yield without_safety_checker(edited.to(pipe.device))


@dataclass(frozen=True)
class Lora:
    """An adapter of low rank.

    Attributes:
        file: its safetensors.
    """

    file: Path

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Loads the adapter within a `with` block, at full strength, and unloads it.

        Raises:
            ValueError: if diffusers loads none into such a pipeline.
        """
        if not hasattr(pipe, "load_lora_weights"):
            raise UsageError(f"{self.file} is a LoRA, and diffusers loads none into a {type(pipe).__name__}.")
        try:
            pipe.load_lora_weights(self.file.parent, weight_name=self.file.name)
            yield pipe
        finally:
            pipe.unload_lora_weights()


def load_edited(path: Path) -> Edit:
    """Returns the edit that a file or folder holds.

    Args:
        path: a diffusers folder; the folder of its U-Net or transformer, in shards or whole; a safetensors file of the
            denoiser's weights, named as diffusers names them (those that are missing stay); or one of a LoRA.

    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if it is none of these, or a LoRA cannot be loaded because peft is not installed.
    """
    if not path.exists():
        raise NotFoundError(f"There is no edited model {path}.")
    if (path / "model_index.json").is_file():
        return EditedPipeline(path)
    try:
        files = weight_files(path)
        with safe_open(files[0], framework="pt") as first:
            names = list(first.keys())
        if any("lora" in name.lower() for name in names):
            return Lora(files[0])
        return WeightEdit({name: weight for file in files for name, weight in load_file(file).items()})
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UsageError(
            f"{path} is no diffusers folder, no denoiser's folder, and no safetensors file of weights: {error}"
        ) from None


def weight_files(path: Path) -> list[Path]:
    """Returns a file itself, or what a folder that diffusers wrote has its weights in: one file, or shards."""
    if path.is_file():
        return [path]
    index = path / SAFE_WEIGHTS_INDEX_NAME
    if not index.exists():
        return [path / SAFETENSORS_WEIGHTS_NAME]
    shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return [path / name for name in sorted(set(shards))]
