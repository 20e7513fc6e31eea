"""Arguments that several commands share, each explained once."""

from collections.abc import Callable, Iterable
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from tyro.conf import Positional, arg

from ..concepts import Concept, parse_concepts
from ..settings import Settings
from .flags import field_docs

T = TypeVar("T")

MODEL = (
    "testbed, testbed-dit or testbed-mmdit (the embedded models), a diffusers folder, a single-file checkpoint "
    "(.safetensors), or the id of a repository on the Hub."
)
MASK = "Folder of the mask, or the id of a repository on the Hub."

Model = Annotated[Positional[str], arg(metavar="MODEL", help=MODEL)]
Mask = Annotated[Positional[str], arg(metavar="MASK", help=MASK)]
MaskFlag = Annotated[str | None, arg(metavar="MASK", help=MASK)]
Concepts = Annotated[
    Positional[tuple[str, ...]],
    arg(
        metavar="CONCEPT ...",
        help="What to forget: the words of a prompt, with the kind if it is not an object, and an r2 of its own if it "
        'needs one: church, "Van Gogh:style", naked:explicit:0.01, church:0.1, forest:place. Synonyms are one concept: '
        '"church|chapel". A comma separates concepts; a name that holds one goes into quotes of its own: '
        "'\"Paris, Texas\"'.",
    ),
]
Folder = Annotated[Path, arg(metavar="FOLDER")]
File = Annotated[Path, arg(metavar="FILE")]
Json = Annotated[bool, arg(help="Print the result as JSON.")]


def concepts_in(texts: Iterable[str]) -> list[str | Concept]:
    """Returns the concepts in some texts, each of which may hold several."""
    return [concept for text in texts for concept in parse_concepts(text)]


def optional(config: type) -> Callable[[type[T]], type[T]]:
    """Gives a class the fields of a dataclass. Each is None by default.

    Args:
        config: a dataclass with defaults. None of them is True, because a flag can only turn something on.
    """

    def with_fields(empty: type[T]) -> type[T]:
        hints, docs = get_type_hints(config), field_docs(config)
        specs = []
        for own in fields(config):
            assert own.default is not True, own.name
            value = "" if own.default is None or own.default is False else f"{own.default}, or "
            hint = f"(default: {value}what is recommended for the model)"
            flag = arg(help=docs[own.name], help_behavior_hint=hint)
            specs.append((own.name, Annotated[(hints[own.name] | None, flag)], field(default=None)))
        made = make_dataclass(empty.__name__, specs, bases=(empty,))
        made.__module__, made.__doc__ = empty.__module__, empty.__doc__
        return made

    return with_fields


def given(options: object) -> dict[str, Any]:
    """Returns the fields of an `optional` dataclass that the user gave, by name."""
    values = {own.name: getattr(options, own.name) for own in fields(options)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value is not None}


@optional(Settings)
class SettingsFlags:
    """How to find and fuse neurons. docs/recommended.md says what is recommended. The symbols are the paper's."""
