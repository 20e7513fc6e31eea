"""How a mask file holds what it takes to rewrite: see the tables in docs/mask-format.md.

Every concept and every source has flat tensors with its matrices layer after layer. A rank says how many columns they
have: as many as the rank, but no more than the layer has inputs (or outputs).
"""

from collections.abc import Iterable
from typing import Any, TypedDict, get_args

import numpy as np
import torch
from torch import Tensor

from ..settings import LARGEST_WEIGHT
from .low_rank import Moment, Response
from .rewriting import NAMED, NEAR, WORD, Block, Rewriting, Source

Shapes = dict[str, tuple[int, int]]
LARGEST_RANK = 2**12
STARTS = {"named": NAMED, "near": NEAR, "word": WORD}  # of keys


class SourceRecord(TypedDict):
    """What the settings say of a source."""

    key: str
    block: Block
    number: int
    rank: int


class RewritingRecord(TypedDict):
    """What the settings say of the rewriting."""

    retain_weight: float
    ridge: float
    ranks: list[list[int]]  # of each concept's moments and responses
    near: dict[str, list[str]]
    sources: list[SourceRecord]


def pack(rewriting: Rewriting) -> tuple[RewritingRecord, dict[str, np.ndarray]]:
    """Returns what the settings say, and the tensors."""
    tensors: dict[str, np.ndarray] = {}
    for i, (own, answers) in enumerate(zip(rewriting.moments.values(), rewriting.responses.values(), strict=True)):
        tensors |= pack_moments(f"moment_{{}}.{i}", own.values())
        for part in ("left", "values", "right"):
            tensors[f"response_{part}.{i}"] = _flat(getattr(answer, part) for answer in answers.values())
    for i, source in enumerate(rewriting.sources.values()):
        tensors |= pack_moments(f"source_{{}}.{i}", source.moments.values())
    record: RewritingRecord = {
        "retain_weight": rewriting.retain_weight,
        "ridge": rewriting.ridge,
        "ranks": [
            [_rank(own.values()), max((len(answer.values) for answer in rewriting.responses[name].values()), default=1)]
            for name, own in rewriting.moments.items()
        ],
        "near": {name: list(keys) for name, keys in rewriting.near.items()},
        "sources": [
            {"key": key, "block": source.block, "number": source.number, "rank": _rank(source.moments.values())}
            for key, source in rewriting.sources.items()
        ],
    }
    return record, tensors


def _rank(moments: Iterable[Moment]) -> int:
    return max((len(moment.values) for moment in moments), default=1)


def pack_moments(name: str, moments: Iterable[Moment]) -> dict[str, np.ndarray]:
    """Returns the tensors of one source's moments, layer after layer. `name` has {} for the kind of the tensor."""
    moments = list(moments)
    values = (torch.cat([moment.values, torch.tensor([moment.rest])]) for moment in moments)
    return {name.format("vectors"): _flat(moment.vectors for moment in moments), name.format("values"): _flat(values)}


def _flat(parts: Iterable[Tensor]) -> np.ndarray:
    parts = [part.flatten() for part in parts]
    return torch.cat(parts).numpy() if parts else np.empty(0, dtype=np.float32)


def makes_sense(record: Any) -> bool:
    """Returns whether a value can be what the settings of a file say of the rewriting, or of none."""
    return record is None or (
        isinstance(record, dict)
        and record.keys() == RewritingRecord.__annotations__.keys()
        and all(_is_weight(record[name]) for name in ("retain_weight", "ridge"))
        and isinstance(record["ranks"], list)
        and all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_rank, pair)) for pair in record["ranks"])
        and isinstance(record["sources"], list)
        and all(map(_is_source, record["sources"]))
        and len({source["key"] for source in record["sources"]}) == len(record["sources"])
        and _is_near(record["near"], {source["key"]: source["block"] for source in record["sources"]})
    )


def _is_weight(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= LARGEST_WEIGHT


def _is_rank(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST_RANK


def _is_source(source: Any) -> bool:
    return (
        isinstance(source, dict)
        and source.keys() == SourceRecord.__annotations__.keys()
        and isinstance(source["key"], str)
        and source["block"] in get_args(Block)
        and source["key"].startswith(STARTS.get(source["block"], ""))
        and type(source["number"]) is int
        and source["number"] > 0
        and _is_rank(source["rank"])
    )


def _is_near(near: Any, blocks: dict[str, Block]) -> bool:
    """Returns whether a value says which words are near which concept. They need not be sources."""
    if not isinstance(near, dict) or not all(isinstance(keys, list) for keys in near.values()):
        return False
    return all(
        isinstance(key, str) and key.startswith(NEAR) and blocks.get(key, "near") == "near"
        for keys in near.values()
        for key in keys
    )


def unpack(record: RewritingRecord, tensors: dict[str, np.ndarray], concepts: list[str], shapes: Shapes) -> Rewriting:
    """Returns the rewriting of a file whose settings make sense. Takes its tensors out of `tensors`.

    Raises:
        ValueError: if a tensor is missing, or has another type or size than it should, or holds a number that makes no
            sense.
    """
    if len(record["ranks"]) != len(concepts) or not record["near"].keys() <= set(concepts):
        raise ValueError("its rewriting is of other concepts")
    ranks = dict(zip(concepts, record["ranks"], strict=True))
    return Rewriting(
        moments={n: take_moments(tensors, f"moment_{{}}.{i}", ranks[n][0], shapes) for i, n in enumerate(concepts)},
        responses={n: _take_responses(tensors, i, ranks[n][1], shapes) for i, n in enumerate(concepts)},
        sources={
            source["key"]: Source(
                source["block"], take_moments(tensors, f"source_{{}}.{i}", source["rank"], shapes), source["number"]
            )
            for i, source in enumerate(record["sources"])
        },
        near={name: tuple(keys) for name, keys in record["near"].items()},
        retain_weight=float(record["retain_weight"]),
        ridge=float(record["ridge"]),
    )


def take_moments(tensors: dict[str, np.ndarray], name: str, rank: int, shapes: Shapes) -> dict[str, Moment]:
    """Returns the moments of one source by layer, and takes their tensors out of `tensors`; see `pack_moments`.

    Raises:
        ValueError: as for `unpack`.
    """
    columns = [min(rank, inputs) for _, inputs in shapes.values()]
    matrices = [(inputs, k) for (_, inputs), k in zip(shapes.values(), columns, strict=True)]
    vectors = _take(tensors, name.format("vectors"), np.float16, matrices)
    values = _take(tensors, name.format("values"), np.float32, [(1, k + 1) for k in columns])
    if any(bool((value < 0).any()) for value in values):
        raise ValueError(f"tensor {name.format('values')} is negative")
    return {
        layer: Moment(vector, value[0, :-1], float(value[0, -1]))
        for layer, vector, value in zip(shapes, vectors, values, strict=True)
    }


def _take_responses(tensors: dict[str, np.ndarray], i: int, rank: int, shapes: Shapes) -> dict[str, Response]:
    columns = [min(rank, *shape) for shape in shapes.values()]
    sides = [[(shape[side], k) for shape, k in zip(shapes.values(), columns, strict=True)] for side in (0, 1)]
    left = _take(tensors, f"response_left.{i}", np.float16, sides[0])
    values = _take(tensors, f"response_values.{i}", np.float32, [(1, k) for k in columns])
    right = _take(tensors, f"response_right.{i}", np.float16, sides[1])
    return {
        layer: Response(one, value[0], other)
        for layer, one, value, other in zip(shapes, left, values, right, strict=True)
    }


def _take(tensors: dict[str, np.ndarray], name: str, dtype: type, shapes: list[tuple[int, int]]) -> list[Tensor]:
    """Returns the matrices of a flat tensor, and takes it out of `tensors`."""
    tensor = tensors.pop(name, None)
    sizes = [rows * columns for rows, columns in shapes]
    if tensor is None or tensor.dtype != dtype or tensor.shape != (sum(sizes),):
        raise ValueError(f"its tensor {name} is missing or has another type or size")
    tensor = np.array(tensor)  # from the file
    if not np.isfinite(tensor).all():
        raise ValueError(f"its tensor {name} is not finite")
    parts = torch.from_numpy(tensor).split(sizes)
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
