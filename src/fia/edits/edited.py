"""What other tools made: an edited model as a folder, a denoiser's weights as a file, or a LoRA.

Files are read as safetensors only: nothing in them is executed.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diffusers import DiffusionPipeline
from diffusers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFETENSORS_WEIGHTS_NAME, is_peft_available
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ..errors import NotFoundError, UsageError
from ..models.layers import count_parameters
from ..models.pipelines import get_denoiser, without_safety_checker
from .interface import Edit
from .weight_edit import WeightEdit, check_shapes, count_changed

TEXT_ENCODERS = ("text_encoder", "lora_te")  # how a LoRA's weights that are not the denoiser's begin


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

    def check(self, pipe: DiffusionPipeline) -> None:
        """Compares the configs and the headers of the weight files with the pipeline; reads no weights.

        Raises:
            ValueError: if a part of the folder is missing, or its denoiser has another class, names or shapes.
        """
        index = json.loads((self.folder / "model_index.json").read_text(encoding="utf-8"))
        parts = [name for name, value in index.items() if isinstance(value, list) and value[0] is not None]
        missing = [name for name in parts if name != "scheduler" and not (self.folder / name).is_dir()]
        part, kind = self.denoiser_name(pipe), type(get_denoiser(pipe)).__name__
        if missing:
            raise UsageError(f"{self.folder} is not whole: there is no {', '.join(missing)} in it.")
        if part not in parts or index[part][1] != kind:
            theirs = index[part][1] if part in parts else "something else"
            raise UsageError(f"{self.folder} denoises with {theirs}, and the model with a {kind}.")
        try:
            shapes = read_shapes(self.folder / part)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"The weights of {self.folder / part} cannot be read as safetensors: {error}") from None
        check_shapes(pipe, shapes)

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns how many parameters have another value in the folder; one tensor at a time is in memory."""
        denoiser = get_denoiser(pipe)
        parameters = dict(denoiser.named_parameters())
        changed = sum(
            count_changed(parameters[name], value)
            for name, value in read_tensors(self.folder / self.denoiser_name(pipe))
            if name in parameters
        )
        return 100 * changed / count_parameters(denoiser)

    def denoiser_name(self, pipe: DiffusionPipeline) -> str:
        """Returns what the pipeline, and with it a folder, calls its denoiser."""
        return "unet" if getattr(pipe, "unet", None) is not None else "transformer"


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
        if not is_peft_available():
            raise UsageError(f'{self.file} is a LoRA, which needs peft: pip install "forget-it-all[lora]".')
        try:
            pipe.load_lora_weights(self.file.parent, weight_name=self.file.name)
            yield pipe
        finally:
            pipe.unload_lora_weights()

    def check(self, pipe: DiffusionPipeline) -> None:
        """Loads the adapter and unloads it: only diffusers knows all the ways to name its layers.

        Raises:
            ValueError: if it cannot be loaded.
        """
        try:
            with self.applied(pipe):
                pass
        except UsageError:
            raise
        except (RuntimeError, ValueError, KeyError) as error:
            said = " ".join(str(error).split())  # on one line
            raise UsageError(f"{self.file} does not fit the model: {said}") from error

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns how many parameters the adapter adds to the denoiser, in percent of the denoiser's."""
        added = sum(
            math.prod(shape)
            for name, shape in read_shapes(self.file).items()
            if not name.startswith(TEXT_ENCODERS) and not name.endswith(".alpha")
        )
        return 100 * added / count_parameters(get_denoiser(pipe))


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


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each tensor of a denoiser's file or folder, by name; reads the headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for weights in weight_files(path):
        with safe_open(weights, framework="pt") as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def read_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Gives the name and value of each tensor of a denoiser's file or folder, one after another."""
    for weights in weight_files(path):
        with safe_open(weights, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                yield name, file.get_tensor(name)
