"""Stands in for the parts of ComfyUI that the nodes use. Nothing here is ComfyUI's code.

It follows the contract of release 0.38, as read in its source:

- `ModelPatcher.clone()` shares the model and copies the lists of patches.
- `add_patches(patches, strength)` keeps the patches whose keys the model's state dict has, and returns those keys.
- `get_key_patches(prefix)` gives the weight without patches first, also while patches are written into the model.
- When a model runs, a patch ("diff", (d,)) adds strength * d to the weight, in the type of computing. The result is
  cast back to the weight's own type.
- `model_lora_keys_unet` maps names in LoRA files to keys. A U-Net's layer has its original name and diffusers' name
  after `lora_unet_`, and diffusers' name after `unet.` with `.processor` before an attention's projections, without the
  `.0` of `to_out.0`. A transformer's layer has diffusers' name after `transformer.`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from diffusers import DiffusionPipeline
from original_layout import original_unet_name
from safetensors.torch import load_file
from torch import Tensor

PREFIX = "diffusion_model."
NODES = Path(__file__).parent.parent / "integrations" / "comfyui"


class Model:
    """A model with weights in ComfyUI's key layout. `keys` maps diffusers' names of parameters to ComfyUI's keys."""

    def __init__(self, pipe: DiffusionPipeline) -> None:
        self.is_unet = hasattr(pipe, "unet")
        denoiser = pipe.unet if self.is_unet else pipe.transformer
        parameters = denoiser.state_dict()
        original = {name: original_unet_name(name, denoiser) if self.is_unet else name for name in parameters}
        self.keys = {name: PREFIX + original[name] for name in parameters}
        self.weights = {self.keys[name]: weight.clone() for name, weight in parameters.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return self.weights


class Patcher:
    """A ModelPatcher."""

    def __init__(self, model: Model, patches: dict | None = None, backup: dict | None = None) -> None:
        self.model, self.patches, self.backup = model, patches or {}, {} if backup is None else backup

    def clone(self) -> Patcher:
        return Patcher(self.model, {key: list(own) for key, own in self.patches.items()}, self.backup)

    def add_patches(self, patches: dict, strength_patch: float = 1.0) -> list:
        known = [key for key in patches if key in self.model.state_dict()]
        for key in known:
            self.patches.setdefault(key, []).append((strength_patch, patches[key]))
        return known

    def get_key_patches(self, filter_prefix: str) -> dict[str, list]:
        return {
            key: [(self.backup.get(key, weight), lambda value, **_: value), *self.patches.get(key, [])]
            for key, weight in self.model.state_dict().items()
            if key.startswith(filter_prefix)
        }

    def run_with(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Returns the weights with which the model runs, computed in this type."""
        weights = {}
        for key, weight in self.model.state_dict().items():
            value = self.backup.get(key, weight).to(dtype)
            for strength, (kind, parts) in self.patches.get(key, []):
                difference = parts[0] if kind == "diff" else low_rank(*parts)
                assert difference.shape == value.shape  # ComfyUI would leave the weight as it is
                value = value + strength * difference.to(dtype)
            weights[key] = value.to(weight.dtype)
        return weights

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Writes the patches into the model, as while it runs, and restores the weights afterwards."""
        patched = self.run_with()
        self.backup |= {key: self.model.weights[key] for key in self.patches}
        self.model.weights |= {key: patched[key] for key in self.patches}
        yield
        self.model.weights |= self.backup
        self.backup.clear()


def low_rank(up: Tensor, down: Tensor, alpha: float | None) -> Tensor:
    scale = 1 if alpha is None else alpha / down.shape[0]
    return scale * (up.flatten(1).float() @ down.flatten(1).float())


def model_lora_keys_unet(model: Model, key_map: dict) -> dict:
    for name, key in model.keys.items():
        layer, _, parameter = name.rpartition(".")
        if parameter != "weight":
            continue
        key_map[f"lora_unet_{key.removeprefix(PREFIX).removesuffix('.weight').replace('.', '_')}"] = key
        if model.is_unet:
            key_map[f"lora_unet_{layer.replace('.', '_')}"] = key
            key_map[f"unet.{layer.replace('.to_', '.processor.to_').removesuffix('.0')}"] = key
        else:
            key_map[f"transformer.{layer}"] = key
    return key_map


def load_lora(tensors: dict[str, Tensor], key_map: dict) -> dict:
    """Takes the tensors whose names the map has; ComfyUI only logs the others."""
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        for end in (".diff", ".alpha", ".lora_up.weight", ".lora_down.weight", ".lora_B.weight", ".lora_A.weight"):
            if name.endswith(end) and name.removesuffix(end) in key_map:
                parts[key_map[name.removesuffix(end)]][end] = tensor
    patches = {}
    for key, own in parts.items():
        if ".diff" in own:
            patches[key] = ("diff", (own[".diff"],))
        else:
            up = own.get(".lora_up.weight", own.get(".lora_B.weight"))
            down = own.get(".lora_down.weight", own.get(".lora_A.weight"))
            patches[key] = ("lora", (up, down, own[".alpha"].item() if ".alpha" in own else None))
    return patches


def folders(models: Path) -> ModuleType:
    """Returns folder_paths over a folder of models."""
    paths = {"loras": models / "loras"}

    def full_path(folder: str, name: str) -> str:
        if not (paths[folder] / name).is_file():
            raise FileNotFoundError(f"Model in folder '{folder}' with filename '{name}' not found.")
        return str(paths[folder] / name)

    return SimpleNamespace(
        models_dir=str(models),
        add_model_folder_path=lambda name, path: paths.setdefault(name, Path(path)),
        get_filename_list=lambda name: sorted(
            str(file.relative_to(paths[name])) for file in paths[name].rglob("*") if file.is_file()
        ),
        get_full_path_or_raise=full_path,
    )


def import_nodes(models: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imports the node package as ComfyUI does, with a folder of models."""
    parts = {
        "folder_paths": folders(models),
        "comfy": SimpleNamespace(),
        "comfy.lora": SimpleNamespace(model_lora_keys_unet=model_lora_keys_unet, load_lora=load_lora),
        "comfy.utils": SimpleNamespace(load_torch_file=lambda path, **_: load_file(path)),
    }
    parts["comfy"].lora, parts["comfy"].utils = parts["comfy.lora"], parts["comfy.utils"]
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, name, part)
    monkeypatch.syspath_prepend(NODES.parent)
    for name in [name for name in sys.modules if name.split(".")[0] == NODES.name]:
        monkeypatch.delitem(sys.modules, name)
    return import_module(NODES.name)
