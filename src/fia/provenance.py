"""What a result depends on: versions, code, device, and hashes of the inputs."""

import hashlib
import importlib.metadata
import json
import subprocess
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn
from transformers import PreTrainedModel

Identity = dict[str, str | None]  # name and hash of something that a result depends on


def identify(model: str, loaded: PreTrainedModel) -> Identity:
    """Returns the name of a transformers model, with the hash of its folder or its commit.

    Args:
        model: the folder or repository from which it was loaded.
        loaded: the model.
    """
    if Path(model).exists():
        return {"name": Path(model).name, "hash": hash_folder(Path(model))}
    return {"name": model, "hash": getattr(loaded.config, "_commit_hash", None)}


def hash_folder(folder: Path) -> str:
    """Returns one hash of all files in a folder, by name and content. Hidden files do not count."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        digest.update(name.as_posix().encode() + b"\0")
        digest.update(hash_file(file).encode())
    return digest.hexdigest()


def hash_file(file: Path) -> str:
    """Returns the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def machine(device: torch.device) -> dict[str, Any]:
    """Returns the versions and the device. The last bits of an image depend on both."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"versions": versions(), "device": name}


def environment(device: torch.device) -> dict[str, Any]:
    """Returns the versions, the device, and the commit if the code is in a git checkout."""
    return machine(device) | {"commit": _commit()}


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Returns the versions of the packages that a result depends on."""
    names = {"fia": "forget-it-all", "torch": "torch", "diffusers": "diffusers", "transformers": "transformers"}
    return {name: importlib.metadata.version(package) for name, package in names.items()}


def hash_pipeline(pipe: DiffusionPipeline) -> str:
    """Returns a hash of all weights of a pipeline and of its scheduler's settings. Its origin does not matter.

    If weights are offloaded layer by layer, only their names, shapes and types count.
    """
    scheduler = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
    digest = hashlib.sha256(hash_json([type(pipe.scheduler).__name__, scheduler]).encode())
    for part, component in sorted(pipe.components.items()):
        if isinstance(component, nn.Module):
            for name, value in sorted(component.state_dict().items()):
                digest.update(f"{part}.{name} {tuple(value.shape)} {value.dtype}".encode())
                if value.is_meta:  # offloaded: a hook holds the values
                    continue
                digest.update(bytes_of(value))
    return digest.hexdigest()


def bytes_of(tensor: Tensor) -> memoryview:
    """Returns the bytes of a tensor's values, row by row, however they lie in memory."""
    return tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().data


def hash_json(value: Any) -> str:
    """Returns a hash of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
