"""The folder a mask is kept in.

`neurons.safetensors` holds everything: for concept i a tensor `neurons.i` with its neurons in the code of `gapcode`,
layer after layer, and `counts` (concepts x layers) that says how long the code of each layer is. Its metadata has,
under `mask`, a SHA-256 of everything on the first line and the rest as JSON below it. `config.json` repeats that JSON
for people and tools to read, and `README.md` is the model card. Nothing in them is ever executed. docs/mask-format.md
has the details.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise
from torch import Tensor

from .gapcode import decode, encode

if TYPE_CHECKING:
    from .mask import NeuronMask

FORMAT = "fia-neuron-mask"
FORMAT_VERSION = 3
LARGEST_LAYER = 2**28  # connections, several times the largest layer there is: what fusing allocates is bounded by it
LARGEST_ALPHA = 1e9  # anything above 1 is the union
NEURONS, CONFIG, CARD = "neurons.safetensors", "config.json", "README.md"


def save(mask: "NeuronMask", folder: Path, *, card: str, others: Mapping[str, str] | None = None) -> None:
    """Writes a mask; the files get their names only once all of them are complete.

    Args:
        mask: to write.
        folder: made where there is none.
        card: text of the model card.
        others: texts of more files to write beside it, by name.

    Raises:
        ValueError: if the folder holds something else.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = json.dumps(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "architecture": mask.architecture,
            "denoiser_parameters": mask.denoiser_parameters,
            "weights_hash": mask.weights_hash,
            "agnostic_ratio": mask.agnostic_ratio,
            "concepts": list(mask.concepts),
            "strengths": mask.strengths,
            "layer_pattern": mask.layer_pattern,
            "layers": {name: list(shape) for name, shape in mask.shapes.items()},
            "provenance": mask.provenance,
        },
        indent=2,
    )
    tensors = {"counts": np.zeros((len(mask.concepts), len(mask.shapes)), dtype=np.int32)}
    for i, layers in enumerate(mask.neurons.values()):
        codes = [encode(layers[name]) for name in mask.shapes]
        tensors["counts"][i] = [len(code) for code in codes]
        tensors[f"neurons.{i}"] = np.concatenate(codes)
    metadata = {"mask": f"{_digest(config, tensors)}\n{config}"}  # one key: the order of several is not fixed

    contents = {NEURONS: serialise(tensors, metadata), CONFIG: f"{config}\n".encode(), CARD: card.encode()}
    contents |= {name: text.encode() for name, text in (others or {}).items()}
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


def load(folder_or_repo: str | Path, **hub: Any) -> dict[str, Any]:
    """Reads and checks a mask; returns the fields of NeuronMask.

    Args:
        folder_or_repo: path, or owner/name on the Hub.
        **hub: options of `huggingface_hub.snapshot_download`.

    Raises:
        FileNotFoundError: if there is no mask.
        ValueError: if the file is cut off, altered, or not a mask.
    """
    folder = find_folder(folder_or_repo, **hub)
    path = folder / NEURONS
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 (not a dict)
            foreign = [f"{key} is {dtype}" for key, dtype in dtypes.items() if dtype not in ("I32", "U16")]
            if foreign:
                raise ValueError(f"{path} is not a mask: tensor {foreign[0]}, not I32 or U16.")
            tensors = {key: file.get_tensor(key) for key in dtypes}
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
    config = _parse(settings, path)
    shapes = {name: (outputs, inputs) for name, (outputs, inputs) in config["layers"].items()}
    return {
        "neurons": _split(tensors, config["concepts"], shapes, path),
        "shapes": shapes,
        "agnostic_ratio": float(config["agnostic_ratio"]),
        "architecture": config["architecture"],
        "denoiser_parameters": config["denoiser_parameters"],
        "weights_hash": config["weights_hash"],
        "strengths": config["strengths"],
        "layer_pattern": config.get("layer_pattern"),
        "provenance": config["provenance"],
    }


def find_folder(folder_or_repo: str | Path, **hub: Any) -> Path:
    """Returns a local folder that holds a mask, fetched from the Hub where the name is not that of a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    folder = Path(folder_or_repo)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(str(folder_or_repo), allow_patterns=[NEURONS, CONFIG, CARD], **hub))
        except (HFValidationError, OSError) as error:
            raise FileNotFoundError(
                f"There is no folder {str(folder_or_repo)!r}, and no such mask could be fetched from the Hub ({error})."
            ) from None
    if not (folder / NEURONS).is_file():
        raise FileNotFoundError(f"{folder} holds no mask: there is no {NEURONS} in it.")
    return folder


def _parse(settings: str, path: Path) -> dict[str, Any]:
    """Returns the settings, every field of them with a value that makes sense."""
    try:
        config = json.loads(settings)
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ValueError(f"{path} is not a mask: its settings are no JSON object.")
    if config.get("format") != FORMAT or config.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {config.get('format')!r} version {config.get('format_version')!r}; this version of fia "
            f"reads {FORMAT!r} version {FORMAT_VERSION}."
        )
    for field, makes_sense in SENSE.items():
        if not makes_sense(config.get(field)):
            raise ValueError(f"{path} is not a mask: its {field} {str(config.get(field))[:80]!r} makes no sense.")
    strange = set(config["strengths"]) - set(config["concepts"])
    if strange:
        raise ValueError(f"{path} is not a mask: it has a strength for {strange.pop()!r}, which it does not hold.")
    return config


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(side) is int and side > 0 for side in shape)
        and shape[0] * shape[1] <= LARGEST_LAYER
    )


def _is_record(record: Any) -> bool:
    """Returns whether something can be the record of a finding: an object that names its concepts."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("model", ""), str)
        and isinstance(record.get("settings", {}), dict)
        and isinstance(record.get("concepts"), list)
        and all(isinstance(concept, dict) and isinstance(concept.get("name"), str) for concept in record["concepts"])
    )


SENSE: dict[str, Callable[[Any], bool]] = {
    "architecture": lambda value: isinstance(value, str),
    "denoiser_parameters": lambda value: type(value) is int and value > 0,
    "agnostic_ratio": lambda value: type(value) in (int, float) and 0 <= value <= LARGEST_ALPHA,
    "concepts": lambda value: (
        isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)
    ),
    "layers": lambda value: isinstance(value, dict) and len(value) > 0 and all(map(_is_shape, value.values())),
    "weights_hash": lambda value: isinstance(value, str),
    "strengths": lambda value: (
        isinstance(value, dict) and all(type(share) in (int, float) and 0 < share <= 1 for share in value.values())
    ),
    "layer_pattern": lambda value: value is None or isinstance(value, str),
    "provenance": lambda value: isinstance(value, list) and all(map(_is_record, value)),
}


def _digest(config: str, tensors: dict[str, np.ndarray]) -> str:
    """Returns the hash of a mask's settings and tensors."""
    digest = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {tensor.dtype} {tensor.shape}\0".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _split(
    tensors: dict[str, np.ndarray], concepts: list[str], shapes: dict[str, tuple[int, int]], path: Path
) -> dict[str, dict[str, Tensor]]:
    """Returns each concept's indices by layer, checked against the layers' sizes."""
    counts = tensors.get("counts", np.empty(0))
    expected = {"counts", *(f"neurons.{i}" for i in range(len(concepts)))}
    if set(tensors) != expected or counts.dtype != np.int32 or counts.shape != (len(concepts), len(shapes)):
        raise ValueError(f"{path} is not a mask of {len(concepts)} concepts and {len(shapes)} layers, as it says.")
    neurons: dict[str, dict[str, Tensor]] = {}
    for i, concept in enumerate(concepts):
        code, lengths = tensors[f"neurons.{i}"], counts[i].tolist()
        if code.dtype != np.uint16 or code.ndim != 1 or min(lengths, default=0) < 0 or sum(lengths) != len(code):
            raise ValueError(f"{path}: the neurons of {concept!r} do not add up.")
        neurons[concept] = {}
        parts = np.split(code, np.cumsum(lengths)[:-1])
        for (name, (outputs, inputs)), part in zip(shapes.items(), parts, strict=True):
            try:
                neurons[concept][name] = decode(part, outputs * inputs)
            except ValueError as error:
                raise ValueError(f"{path}: the code of {concept!r} in {name} ({outputs} x {inputs}) {error}.") from None
    return neurons
