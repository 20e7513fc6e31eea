"""Parses words into values: numbers, paths, and values that may be left out."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

T = TypeVar("T")
REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _finite_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[float] | None:
    return _one_word(_read_number, float, "FLOAT") if info.type is float else None


@REGISTRY.primitive_rule
def _named_path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    return _one_word(_read_path, Path, "PATH") if info.type is Path else None


@REGISTRY.primitive_rule
def _left_out(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Parses `X | None` as X, because no word means None."""
    parts = [part for part in get_args(info.type) if part is not NoneType]
    if info.type_origin not in (Union, UnionType) or len(parts) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(parts[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None
    return replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: [] if value is None else spec.str_from_instance(value),
    )


def _one_word(read: Callable[[str], T], kind: type[T], metavar: str) -> PrimitiveConstructorSpec[T]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


def _read_number(word: str) -> float:
    """Returns a finite number. No flag makes sense with any other."""
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is not a finite number.")
    return number


def _read_path(word: str) -> Path:
    """Returns a path. Refuses an empty word, which would mean the working folder."""
    if not word:
        raise ValueError("the path is empty; give a dot for the working folder.")
    return Path(word)
