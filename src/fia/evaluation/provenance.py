"""What a result depends on: versions, code, device, and the hashes of what went in."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import torch

from ..unlearn import versions


def hash_folder(folder: Path) -> str:
    """Returns one hash of every file in a folder, by name and content."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hash_file(file).encode())
    return digest.hexdigest()


def hash_file(file: Path) -> str:
    """Returns the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """Returns a hash of anything that can be written as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def environment(device: torch.device) -> dict[str, Any]:
    """Returns versions, the commit where the code lies in a git checkout, and the device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"versions": versions(), "commit": _commit(), "device": name}


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
