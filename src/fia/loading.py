"""Loads a pipeline by name: the embedded model, a folder, a checkpoint, or a repository."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import diffusers
import torch
from diffusers import DiffusionPipeline, ModelMixin
from diffusers.loaders.single_file_utils import SingleFileComponentError, fetch_diffusers_config
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError, safe_open

from .errors import DataError, NotFoundError, UsageError, did_you_mean
from .files import similar_folder
from .models.half_precision import warn_if_slow
from .models.pipelines import get_denoiser
from .processes import processes
from .testbed import load_testbed
from .testbed.pretrained import NAMES

GIVE = (
    "Give 'testbed', the path of a diffusers folder or .safetensors checkpoint, or the id of a repository on the Hub."
)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass
class Runtime:
    """How to load a model, and where to run it."""

    device: str = "auto"
    """auto takes a GPU if there is one; under torchrun each process takes its own. Or give cpu, cuda, cuda:1, mps."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """auto takes float16 on a GPU and float32 elsewhere."""
    config: str | None = None
    """For a single-file checkpoint: a diffusers folder of the same kind of model, from which the configs, tokenizer and
    scheduler are read. By default diffusers takes them from the Hub."""

    def load(self, model: str) -> DiffusionPipeline:
        """Returns the pipeline with this name; see `load_pipeline`."""
        return load_pipeline(model, device=self.device, dtype=self.dtype, config=self.config)


def check_model(model: str) -> None:
    """Raises an error if there is no such model. Reads no weights, and of a repository only its index.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if the name is empty, or it is a single file in a format that is not read.
    """
    if not model.strip():
        raise UsageError(f"The name of the model is empty. {GIVE}")
    path = Path(model)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise UsageError(
                f"{path} is not a .safetensors file. Other checkpoints (.ckpt, .pt) are pickles, which can run code "
                "when they are loaded; convert it to .safetensors with a tool that you trust."
            )
    elif model in NAMES:
        return
    elif path.exists():
        if not (path / "model_index.json").is_file():
            raise NotFoundError(
                f"{model} is not a diffusers model: there is no model_index.json in it. Give the folder of a pipeline."
            )
    else:
        try:
            hf_hub_download(model, DiffusionPipeline.config_name)
        except HFValidationError:
            raise NotFoundError(
                f"There is no folder or file {model!r}, and no repository can have such a name. {GIVE}{_guess(model)}"
            ) from None
        except (HfHubHTTPError, OSError) as error:
            raise NotFoundError(
                f"There is no folder {model!r}, and no such model could be fetched from the Hub. {GIVE}{_guess(model)} "
                f"({error})"
            ) from None


def load_pipeline(
    model: str, *, device: str = "auto", dtype: str = "auto", config: str | None = None
) -> DiffusionPipeline:
    """Loads a pipeline and returns it on its device.

    Args:
        model: "testbed", "testbed-dit" or "testbed-mmdit", a diffusers folder, a checkpoint in a single safetensors
            file, or the id of a repository.
        device: "auto" takes a GPU if there is one. If several processes run, each takes its own GPU. Or torch's name of
            a device.
        dtype: "auto" takes float16 on a GPU and float32 elsewhere. Or one of DTYPES.
        config: for a checkpoint, a diffusers folder (or repository) with the configs, tokenizer and scheduler. None
            takes them from the repository that diffusers knows for this kind of model.

    Raises:
        FileNotFoundError: if there is no such model, or no configs for a checkpoint.
        ValueError: if the dtype or device is unknown, if a checkpoint is not a safetensors file or does not hold a
            whole model, or if a config is given for a model that needs none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        if "LOCAL_RANK" in os.environ:
            device = str(processes().device)
    if dtype not in ("auto", *DTYPES):
        raise UsageError(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}.")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device!r} cannot be used here ({error}); use auto or cpu.") from None
    check_model(model)
    chosen = DTYPES.get(dtype, torch.float32 if torch.device(device).type == "cpu" else torch.float16)
    warn_if_slow(torch.device(device), chosen, "Take float32 (--dtype float32).")
    if Path(model).is_file():
        return _load_single_file(Path(model), config, chosen).to(device)
    if config is not None:
        raise UsageError(
            f"config {config!r} is only for single-file checkpoints; {model} has its own configs. Leave config "
            "(--config) out."
        )
    if model in NAMES:
        return load_testbed(architecture=NAMES[model]).to(device, chosen)
    try:
        return DiffusionPipeline.from_pretrained(model, dtype=chosen).to(device)
    except (HfHubHTTPError, OSError) as error:
        raise NotFoundError(f"{model} cannot be loaded: {error}. Save or download it again.") from None


def _guess(model: str) -> str:
    """Returns a question that names an embedded model, or a folder beside the one that is not there."""
    return did_you_mean(model, NAMES) or similar_folder(Path(model), DiffusionPipeline.config_name)


def outline_denoiser(model: str) -> ModelMixin:
    """Returns a model's denoiser without weights (on the device "meta"), from its config only.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if the model is a single file, or its denoiser is not one of diffusers'.
    """
    check_model(model)
    if model in NAMES:
        return get_denoiser(load_testbed(architecture=NAMES[model]))
    if Path(model).is_file():
        raise UsageError(
            f"{model} is a single file, which does not hold its config; give a diffusers folder of the same kind."
        )
    try:
        index = DiffusionPipeline.load_config(model)
        part = next((name for name in ("unet", "transformer") if name in index), None)
        library, kind = index[part] if part else ("none", "none")
        if library != "diffusers" or not hasattr(diffusers, kind):
            raise UsageError(
                f"{model} has no denoiser that diffusers knows (it says {kind} of {library}); give another model."
            )
        config = getattr(diffusers, kind).load_config(model, subfolder=part)
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        raise NotFoundError(
            f"There is no diffusers folder {model!r}, and its configs could not be fetched from the Hub. Give "
            f"'testbed', the path of a diffusers folder, or the id of a repository. ({error})"
        ) from None
    with torch.device("meta"):
        return getattr(diffusers, kind).from_config(config)


def _load_single_file(file: Path, config: str | None, dtype: torch.dtype) -> DiffusionPipeline:
    """Returns the pipeline of a checkpoint. Everything but the weights comes from a diffusers folder or repository."""
    try:
        with safe_open(file, framework="pt") as opened:  # names and shapes show the kind of model; weights come later
            shapes = {key: opened.get_slice(key).get_shape() for key in opened.keys()}  # noqa: SIM118 (not a dict)
        outline = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        source = config or fetch_diffusers_config(outline)["pretrained_model_name_or_path"]
    except SafetensorError as error:
        raise DataError(
            f"{file} is not a safetensors file, or is cut off; download it again, or give another file. ({error})"
        ) from None
    try:
        kind = getattr(diffusers, DiffusionPipeline.load_config(source)["_class_name"])
        pipe = kind.from_single_file(str(file), config=source, dtype=dtype)
    except SingleFileComponentError as error:
        raise DataError(
            f"{file} does not hold a whole model; give a checkpoint that holds every part of it. ({error})"
        ) from None
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        raise NotFoundError(
            f"The configs for {file} cannot be loaded from {source}. Name a diffusers folder of the same kind of model "
            f"with config (--config FOLDER). Its weights are not read. ({error})"
        ) from None
    pipe.register_to_config(_name_or_path=str(file))
    return pipe
