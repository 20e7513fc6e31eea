"""Turns the fields of a dataclass into flags. tyro makes the flags; this module names and explains them."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from shutil import get_terminal_size
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import StructConstructorSpec, StructFieldSpec, StructTypeInfo

from ..errors import FIAError
from .values import REGISTRY

Command = TypeVar("Command")

# A flag that is off by default has no --no- form, and nobody can give the word "None" as a value.
MARKERS = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
METAVARS = {int: "INT", float: "FLOAT", str: "NAME", Path: "PATH"}
METAVARS_OF_FIELDS = {
    "config": "MODEL",
    "device": "DEVICE",
    "host": "ADDRESS",
    "layers": "PATTERN",
    "repo": "OWNER/NAME",
    "template": "TEXT",
}


class _Verbatim(str):
    """A text that tyro prints as it is. tyro joins the lines of any other text."""

    def split(self, *_: object) -> list[str]:
        return [self]


class _Refused(Exception):  # noqa: N818 (never leaves this module)
    """Carries an explained error through tyro, which would print a ValueError with details of its parser."""

    def __init__(self, error: FIAError) -> None:
        super().__init__(str(error))
        self.error = error


def read(command: type[Command], name: str, words: Sequence[str]) -> Command:
    """Parses the words of a command line into a command.

    Args:
        command: the dataclass of the command.
        name: name of the command, after `fia`.
        words: the words after the name.

    Raises:
        FIAError: if a value is out of range. A dataclass raises it.
        SystemExit: after --help (0), or after a message about words that it cannot parse (2).
    """
    try:
        return tyro.cli(
            command,
            prog=f"fia {name}",
            args=words,
            description=describe(command),
            config=MARKERS,
            registry=REGISTRY,
        )
    except _Refused as refused:
        raise refused.error from None


def describe(command: type) -> str:
    """Returns a command's docstring for its help. Wraps paragraphs to the terminal, and leaves examples as they are."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    width = get_terminal_size().columns
    texts = [text if text.startswith("Examples:") else textwrap.fill(text, width) for text in paragraphs]
    return _Verbatim("\n\n".join(texts))


def field_docs(config: type) -> dict[str, str]:
    """Returns the docstring below each field of a dataclass, in one line each."""
    docs: dict[str, str] = {}
    for base in reversed(config.__mro__[:-1]):  # without `object`
        try:
            source = inspect.getsource(base)
        except OSError:  # the class was made at run time
            continue
        for field, below in pairwise(ast.parse(textwrap.dedent(source)).body[0].body):  # type: ignore[attr-defined]
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs


@REGISTRY.struct_rule
def _dataclass_as_flags(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Gives each field of a dataclass its help, a metavar, and a hint about its default."""
    if not dataclasses.is_dataclass(info.type) or hasattr(info.type, "__parameters__"):  # tyro handles generic ones
        return None
    hints, docs = get_type_hints(info.type, include_extras=True), field_docs(info.type)
    fields = []
    for field in dataclasses.fields(info.type):
        default, doc = _default(field, info), docs.get(field.name)
        base, metadata = _split_hint(hints[field.name])
        hint = "" if doc and "by default" in doc else _hint(default)
        own = tyro.conf.arg(metavar=_metavar(field.name, base), help_behavior_hint=hint)
        annotated = Annotated[(base, own, *metadata)]  # type: ignore[valid-type]  # the last annotation counts
        fields.append(StructFieldSpec(field.name, annotated, default, doc))  # type: ignore[arg-type]
    return StructConstructorSpec(_explaining(info.type), tuple(fields))


def _default(field: dataclasses.Field[Any], info: StructTypeInfo) -> Any:
    """Returns a field's default. The default of the whole dataclass comes first."""
    if isinstance(info.default, info.type):
        return getattr(info.default, field.name)
    if field.default is not dataclasses.MISSING:
        return field.default
    return tyro.MISSING_NONPROP if field.default_factory is dataclasses.MISSING else field.default_factory()


def _explaining(config: type[Command]) -> Callable[..., Command]:
    """Returns a constructor of a dataclass that gets explained errors past tyro."""

    def construct(**values: Any) -> Command:
        try:
            return config(**values)
        except FIAError as error:
            raise _Refused(error) from None

    construct.__doc__ = config.__doc__
    return construct


def _split_hint(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Returns a type without its annotations, and the annotations, including those of X in `X | None`."""
    if get_origin(hint) is Annotated:
        return hint.__origin__, hint.__metadata__
    if get_origin(hint) in (Union, UnionType):
        parts = [_split_hint(part) for part in get_args(hint)]
        return Union[tuple(base for base, _ in parts)], tuple(chain.from_iterable(own for _, own in parts))  # noqa: UP007
    return hint, ()


def _metavar(name: str, hint: Any) -> str | None:
    """Returns the placeholder of a flag's value. None leaves it to tyro."""
    if get_origin(hint) is Union:
        first, *others = (part for part in get_args(hint) if part is not NoneType)
        return None if others else _metavar(name, first)
    if get_origin(hint) is tuple:
        one = _metavar(name, get_args(hint)[0])
        return one and f"{one} ..."
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    return METAVARS_OF_FIELDS.get(name) or METAVARS.get(hint)


def _hint(default: Any) -> str | Callable[[str], str]:
    """Returns what a flag's help says about its default; nothing if the default is empty."""
    if default is True:
        return "(on unless this is given)"
    if default in (None, (), tyro.MISSING_NONPROP) or default is False:
        return ""
    return lambda shown: f"(default: {shown})"
