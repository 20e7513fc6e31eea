"""Checks every field and tensor of a mask file before it is used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
from torch import Tensor

from ..concepts import clean_name
from ..errors import DataError, UsageError
from ..settings import LARGEST_ALPHA, Sites
from . import rewriting_file
from .gapcode import decode

FORMAT = "fia-neuron-mask"
FORMAT_VERSION = 4
OLDER = {3: {"sites": "feed-forward", "rewriting": None}}  # what a file of an older version does not say
LARGEST_LAYER = 2**28  # connections: several times the largest known layer, and a bound on the memory of fusing


def parse_settings(settings: str, path: Path) -> dict[str, Any]:
    """Returns the settings of a mask file, after a check of every field.

    Raises:
        ValueError: if this is not JSON, another format or version, or a field has a value that makes no sense.
    """
    try:
        config = json.loads(settings)
        json.dumps(config, ensure_ascii=False).encode()  # fails for half of a character
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise DataError(f"{path} is not a mask: its settings are not a JSON object. Give another file.")
    version = config.get("format_version")
    if config.get("format") != FORMAT or type(version) is not int or version not in (*OLDER, FORMAT_VERSION):
        raise DataError(
            f"{path} has format {config.get('format')!r} version {version!r}; this version of fia reads {FORMAT!r} "
            f"versions {min(OLDER)} to {FORMAT_VERSION}. Use the version of fia that wrote it, or make the mask again."
        )
    config |= OLDER.get(version, {})
    config.setdefault("smallest_threshold", 2)
    for field, makes_sense in SENSE.items():
        if not makes_sense(config.get(field)):
            raise DataError(
                f"{path} is not a mask: its {field} {str(config.get(field))[:80]!r} makes no sense. Make it again."
            )
    strange = set(config["strengths"]) - set(config["concepts"])
    if strange:
        raise DataError(
            f"{path} is not a mask: it has a strength for {strange.pop()!r}, which it does not hold. Make it again."
        )
    return config


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(side) is int and side > 0 for side in shape)
        and shape[0] * shape[1] <= LARGEST_LAYER
    )


def _is_name(name: Any) -> bool:
    try:
        clean_name(name)
    except UsageError:
        return False
    return True


def _is_record(record: Any) -> bool:
    """Returns whether a value can be the record of a run of `find`: an object that names its concepts."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("model", ""), str)
        and isinstance(record.get("settings", {}), dict)
        and isinstance(record.get("concepts"), list)
        and all(isinstance(concept, dict) and isinstance(concept.get("name"), str) for concept in record["concepts"])
        and all(_are_names(concept.get("synonyms", [])) for concept in record["concepts"])
    )


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(map(_is_name, names))


SENSE: dict[str, Callable[[Any], bool]] = {
    "architecture": lambda value: isinstance(value, str),
    "denoiser_parameters": lambda value: type(value) is int and value > 0,
    "agnostic_ratio": lambda value: type(value) in (int, float) and 0 <= value <= LARGEST_ALPHA,
    "smallest_threshold": lambda value: type(value) is int and value in (1, 2),
    "concepts": lambda value: isinstance(value, list) and all(map(_is_name, value)) and len(set(value)) == len(value),
    "layers": lambda value: isinstance(value, dict) and len(value) > 0 and all(map(_is_shape, value.values())),
    "weights_hash": lambda value: isinstance(value, str),
    "strengths": lambda value: (
        isinstance(value, dict) and all(type(share) in (int, float) and 0 < share <= 1 for share in value.values())
    ),
    "layer_pattern": lambda value: value is None or isinstance(value, str),
    "sites": lambda value: value in get_args(Sites),
    "rewriting": rewriting_file.makes_sense,
    "provenance": lambda value: isinstance(value, list) and all(map(_is_record, value)),
}


def split_neurons(
    tensors: dict[str, np.ndarray], concepts: list[str], shapes: dict[str, tuple[int, int]], path: Path
) -> dict[str, dict[str, Tensor]]:
    """Returns each concept's indices by layer, after a check against the layers' sizes.

    Raises:
        ValueError: if tensors are missing or foreign, or an index is outside its layer.
    """
    counts = tensors.get("counts", np.empty(0))
    expected = {"counts", *(f"neurons.{i}" for i in range(len(concepts)))}
    if set(tensors) != expected or counts.dtype != np.int32 or counts.shape != (len(concepts), len(shapes)):
        raise DataError(
            f"{path} is not a mask of {len(concepts)} concepts and {len(shapes)} layers, as it says. Make it again."
        )
    neurons: dict[str, dict[str, Tensor]] = {}
    for i, concept in enumerate(concepts):
        stored, lengths = tensors[f"neurons.{i}"], counts[i].tolist()
        if stored.dtype != np.uint16 or stored.shape != (sum(lengths),) or min(lengths, default=0) < 0:
            raise DataError(
                f"{path}: the neurons of {concept!r} do not add up to the lengths in 'counts'. Make the mask again."
            )
        code = np.array(stored)
        neurons[concept] = {}
        parts = np.split(code, np.cumsum(lengths)[:-1])
        for (name, (outputs, inputs)), part in zip(shapes.items(), parts, strict=True):
            try:
                neurons[concept][name] = decode(part, outputs * inputs)
            except ValueError as error:
                raise DataError(
                    f"{path}: the code of {concept!r} in {name} ({outputs} x {inputs}) {error}. Make the mask again."
                ) from None
    return neurons
