"""The folder a mask is kept in.

`neurons.safetensors` holds everything: for concept i an int32 tensor `neurons.i` with the flat indices of its neurons,
layer after layer, and `counts` (concepts x layers) that says where each layer ends. Its metadata has, under `mask`, a
SHA-256 of everything on the first line and the rest as JSON below it. `config.json` repeats that JSON for people and
tools to read, and `README.md` is the model card. Nothing in them is ever executed.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

if TYPE_CHECKING:
    from .mask import NeuronMask

FORMAT = "fia-neuron-mask"
FORMAT_VERSION = 1
FIELDS = {"architecture", "denoiser_parameters", "agnostic_ratio", "concepts", "layers", "provenance"}
NEURONS, CONFIG, CARD = "neurons.safetensors", "config.json", "README.md"


def save(mask: "NeuronMask", folder: Path) -> None:
    """Writes a mask; the files get their names only once all of them are complete."""
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = json.dumps(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "architecture": mask.architecture,
            "denoiser_parameters": mask.denoiser_parameters,
            "agnostic_ratio": mask.agnostic_ratio,
            "concepts": list(mask.concepts),
            "layers": {name: list(shape) for name, shape in mask.shapes.items()},
            "provenance": mask.provenance,
        },
        indent=2,
    )
    tensors = {"counts": torch.zeros(len(mask.concepts), len(mask.shapes), dtype=torch.int32)}
    for i, layers in enumerate(mask.neurons.values()):
        parts = [layers[name].to(torch.int32) for name in mask.shapes]
        tensors["counts"][i] = torch.tensor([len(part) for part in parts], dtype=torch.int32)
        tensors[f"neurons.{i}"] = torch.cat(parts)
    metadata = {"mask": f"{_digest(config, tensors)}\n{config}"}  # one key: the order of several is not fixed

    contents = {NEURONS: serialise(tensors, metadata), CONFIG: f"{config}\n".encode(), CARD: model_card(mask).encode()}
    partials = {filename: folder / f".{filename}.{os.getpid()}.partial" for filename in contents}
    try:
        for filename, content in contents.items():
            partials[filename].write_bytes(content)
        for filename, partial in partials.items():
            partial.replace(folder / filename)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Raises ValueError if saving a mask to the folder would overwrite files that are not a mask's."""
    if (folder / NEURONS).exists():
        return
    for name in (CONFIG, CARD):
        if (folder / name).exists():
            raise ValueError(f"{folder / name} belongs to something else than a mask; give another folder.")


def load(folder_or_repo: str | Path) -> dict[str, Any]:
    """Reads and checks a mask; returns the fields of NeuronMask.

    Raises:
        FileNotFoundError: if there is no mask.
        ValueError: if the file is cut off, altered, or not a mask.
    """
    folder = find_folder(folder_or_repo)
    path = folder / NEURONS
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{path} is cut off or no safetensors file ({error}). Fetch or make the mask again.") from None
    sha256, newline, settings = metadata.get("mask", "").partition("\n")
    if not newline:
        raise ValueError(f"{path} is not a mask: its metadata has no 'mask' with a hash and settings.")
    if _digest(settings, tensors) != sha256:
        raise ValueError(f"{path} was altered: its hash is not the one it was saved with. Fetch or make it again.")
    readable = folder / CONFIG
    if readable.exists() and readable.read_text(encoding="utf-8").strip() != settings:
        raise ValueError(
            f"{readable} was altered: it differs from the settings inside {NEURONS}, which are the ones that count. "
            f"Delete {CONFIG} to load the mask as it was saved."
        )
    config = json.loads(settings)
    if config.get("format") != FORMAT or config.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {config.get('format')!r} version {config.get('format_version')!r}; this version of fia "
            f"reads {FORMAT!r} version {FORMAT_VERSION}."
        )
    missing = FIELDS - config.keys()
    if missing:
        raise ValueError(f"{path} is not a mask: it lacks {', '.join(sorted(missing))}.")
    shapes = {name: (int(outputs), int(inputs)) for name, (outputs, inputs) in config["layers"].items()}
    return {
        "neurons": _split(tensors, config["concepts"], shapes, path),
        "shapes": shapes,
        "agnostic_ratio": float(config["agnostic_ratio"]),
        "architecture": str(config["architecture"]),
        "denoiser_parameters": int(config["denoiser_parameters"]),
        "provenance": config["provenance"],
    }


def find_folder(folder_or_repo: str | Path) -> Path:
    """Returns a local folder that holds a mask, fetched from the Hub where the name is not that of a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    folder = Path(folder_or_repo)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(str(folder_or_repo), allow_patterns=[NEURONS, CONFIG, CARD]))
        except (HFValidationError, OSError) as error:
            raise FileNotFoundError(
                f"There is no folder {str(folder_or_repo)!r}, and no such mask could be fetched from the Hub ({error})."
            ) from None
    if not (folder / NEURONS).is_file():
        raise FileNotFoundError(f"{folder} holds no mask: there is no {NEURONS} in it.")
    return folder


def _digest(config: str, tensors: dict[str, Tensor]) -> str:
    """Returns the hash of a mask's settings and tensors."""
    digest = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _split(
    tensors: dict[str, Tensor], concepts: list[str], shapes: dict[str, tuple[int, int]], path: Path
) -> dict[str, dict[str, Tensor]]:
    """Returns each concept's indices by layer, checked against the layers' sizes."""
    counts = tensors.get("counts", torch.empty(0))
    expected = {"counts", *(f"neurons.{i}" for i in range(len(concepts)))}
    if len(set(concepts)) < len(concepts) or set(tensors) != expected or counts.shape != (len(concepts), len(shapes)):
        raise ValueError(f"{path} is not a mask of {len(concepts)} concepts and {len(shapes)} layers, as it says.")
    neurons: dict[str, dict[str, Tensor]] = {}
    for i, concept in enumerate(concepts):
        indices = tensors[f"neurons.{i}"]
        sizes = counts[i].tolist()
        if indices.dtype != torch.int32 or min(sizes, default=0) < 0 or sum(sizes) != len(indices):
            raise ValueError(f"{path}: the neurons of {concept!r} do not add up.")
        neurons[concept] = dict(zip(shapes, indices.split(sizes), strict=True))
        for name, part in neurons[concept].items():
            outputs, inputs = shapes[name]
            ascending = bool((part.diff() > 0).all())
            if len(part) and not (ascending and part[0] >= 0 and part[-1] < outputs * inputs):
                raise ValueError(f"{path}: neurons of {concept!r} lie outside layer {name} of {outputs} x {inputs}.")
    return neurons


def model_card(mask: "NeuronMask") -> str:
    """Returns the text of the mask's model card."""
    base_model = mask.provenance.get("model", "unknown")
    concepts = "\n".join(f"- {concept}" for concept in mask.concepts) or "- nothing"
    return f"""---
library_name: fia
tags: [fia, concept-unlearning, text-to-image]
---

# A mask that makes a text-to-image model forget

It prunes {mask.number_pruned:,} connections ({mask.sparsity:.2%} of the maskable layers,
{mask.denoiser_sparsity:.3%} of the denoiser) of `{base_model}`, so that it no longer draws:

{concepts}

```python
import fia
mask = fia.NeuronMask.from_pretrained("this folder")
mask.apply(pipe)   # mask.remove(pipe) takes it back, bit for bit
```

Found with Forget-It-All (arXiv 2601.06163); the prompts, seeds, settings and versions are in `config.json`.
"""
