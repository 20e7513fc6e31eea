"""Edits from other tools: an edited model as a folder, a denoiser's weights as a file, or a LoRA.

We read only safetensors files, so nothing in them is executed.
"""

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
from ..files import read_json
from ..models.layers import count_parameters
from ..models.pipelines import denoiser_name, get_denoiser, without_safety_checker
from .interface import Edit
from .weight_edit import WeightEdit, check_shapes, count_changed

TEXT_ENCODERS = ("text_encoder", "lora_te")  # the names of a LoRA's text encoder weights start with these


@dataclass(frozen=True)
class EditedPipeline:
    """A whole edited model.

    Attributes:
        folder: the diffusers folder.
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
            ValueError: if a part of the folder is missing, or the class, names or shapes of its denoiser differ.
        """
        index = read_json(self.folder / "model_index.json")
        parts = [name for name, value in index.items() if isinstance(value, list) and value[0] is not None]
        missing = [name for name in parts if name != "scheduler" and not (self.folder / name).is_dir()]
        part, kind = denoiser_name(pipe), type(get_denoiser(pipe)).__name__
        if missing:
            raise UsageError(
                f"{self.folder} is not a whole model: it has no {', '.join(missing)}. Give a whole pipeline's folder."
            )
        if part not in parts or index[part][1] != kind:
            theirs = index[part][1] if part in parts else "something else"
            raise UsageError(
                f"{self.folder} denoises with {theirs}, but the model with a {kind}. Give an edit of this model."
            )
        try:
            shapes = read_shapes(self.folder / part)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"The weights of {self.folder / part} cannot be read as safetensors: {error}") from None
        check_shapes(pipe, shapes)

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns how many parameters differ in the folder, in percent of the denoiser's. Loads tensor by tensor."""
        denoiser = get_denoiser(pipe)
        parameters = dict(denoiser.named_parameters())
        changed = sum(
            count_changed(parameters[name], value)
            for name, value in read_tensors(self.folder / denoiser_name(pipe))
            if name in parameters
        )
        return 100 * changed / count_parameters(denoiser)


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter.

    Attributes:
        file: the safetensors file.
    """

    file: Path

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Loads the adapter at full strength within a `with` block, and unloads it afterwards.

        Raises:
            ValueError: if diffusers cannot load a LoRA into such a pipeline, or peft is not installed.
        """
        if not hasattr(pipe, "load_lora_weights"):
            raise UsageError(
                f"{self.file} is a LoRA, and diffusers cannot load one into a {type(pipe).__name__}. Give a folder of "
                "the edited model, or its denoiser's weights."
            )
        if not is_peft_available():
            raise UsageError(f'{self.file} is a LoRA, which needs peft: pip install "forget-it-all[lora]".')
        try:
            pipe.load_lora_weights(self.file.parent, weight_name=self.file.name)
            yield pipe
        finally:
            pipe.unload_lora_weights()

    def check(self, pipe: DiffusionPipeline) -> None:
        """Loads the adapter and unloads it, because only diffusers knows all the ways to name its layers.

        Raises:
            ValueError: if diffusers cannot load it.
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
    """Returns the edit in a file or folder.

    Args:
        path: a diffusers folder; the folder of its U-Net or transformer, in shards or whole; a safetensors file of the
            denoiser's weights, with diffusers' names (a weight that is missing keeps its value); or a LoRA file.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if it is none of these.
    """
    if not path.exists():
        raise NotFoundError(f"There is no edited model {path}; check the path.")
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
            f"{path} is no diffusers folder, no denoiser's folder, and no safetensors file of weights. Give one of "
            f"these. ({error})"
        ) from None


def weight_files(path: Path) -> list[Path]:
    """Returns the file itself, or the weight files of a folder that diffusers wrote: one file, or shards."""
    if path.is_file():
        return [path]
    index = path / SAFE_WEIGHTS_INDEX_NAME
    if not index.exists():
        return [path / SAFETENSORS_WEIGHTS_NAME]
    shards = read_json(index)["weight_map"].values()
    return [path / name for name in sorted(set(shards))]


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each tensor of a denoiser's file or folder, by name. Reads only the headers."""
    shapes: dict[str, tuple[int, ...]] = {}
    for weights in weight_files(path):
        with safe_open(weights, framework="pt") as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def read_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yields the name and value of each tensor of a denoiser's file or folder, one after another."""
    for weights in weight_files(path):
        with safe_open(weights, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                yield name, file.get_tensor(name)
