"""What a result depends on: versions, code, device, and the hashes of what went in."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from .finding.record import versions

Identity = dict[str, str | None]  # name and hash of what a result depends on


def identify(model: str, loaded: PreTrainedModel) -> Identity:
    """Returns what tells a model of transformers from others: its name, and a hash of its folder or its commit.

    Args:
        model: the folder or repository that it was loaded from.
        loaded: the model.
    """
    if Path(model).exists():
        return {"name": Path(model).name, "hash": hash_folder(Path(model))}
    return {"name": model, "hash": getattr(loaded.config, "_commit_hash", None)}


def hash_folder(folder: Path) -> str:
    """Returns one hash of every file in a folder, by name and content, but for hidden ones."""
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
    """Returns versions and the device, on which the last bits of an image depend."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"versions": versions(), "device": name}


def environment(device: torch.device) -> dict[str, Any]:
    """Returns versions, the device, and the commit where the code lies in a git checkout."""
    return machine(device) | {"commit": _commit()}


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
