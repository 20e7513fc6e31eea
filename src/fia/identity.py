"""Hashes that tell one model from another."""

import hashlib
import json
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import nn


def hash_pipeline(pipe: DiffusionPipeline) -> str:
    """Returns a hash of all weights of a pipeline and of its scheduler's settings, wherever it was loaded from.

    Of weights that are offloaded layer by layer, the names, shapes and types count alone.
    """
    scheduler = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
    digest = hashlib.sha256(hash_json([type(pipe.scheduler).__name__, scheduler]).encode())
    for part, component in sorted(pipe.components.items()):
        if isinstance(component, nn.Module):
            for name, value in sorted(component.state_dict().items()):
                digest.update(f"{part}.{name} {tuple(value.shape)} {value.dtype}".encode())
                if value.is_meta:  # offloaded: its values are with a hook
                    continue
                digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def hash_json(value: Any) -> str:
    """Returns a hash of anything that can be written as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
