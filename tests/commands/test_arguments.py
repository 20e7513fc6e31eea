"""Flags that are made from a dataclass, each of which may be left out."""

from dataclasses import dataclass, fields
from typing import Literal

import pytest

from fia.cli import parse
from fia.commands.arguments import SettingsFlags, given, optional
from fia.commands.flags import field_docs
from fia.settings import Settings

FORGET = ["forget", "testbed", "church", "--out", "masks/church"]


def test_nothing_is_given_unless_it_is_typed() -> None:
    assert given(parse(FORGET).settings) == {}
    typed = ["--spatial-ratio", "0", "--seed", "0", "--count-ties", "--magnitude", "max", "--layers", "*.fc2"]
    expected = {"spatial_ratio": 0.0, "seed": 0, "count_ties": True, "magnitude": "max", "layers": "*.fc2"}
    assert given(parse([*FORGET, *typed]).settings) == expected


def test_every_setting_has_a_flag_with_its_own_explanation() -> None:
    assert [own.name for own in fields(SettingsFlags)] == [own.name for own in fields(Settings)]
    assert field_docs(Settings).keys() == {own.name for own in fields(Settings)}
    assert all(doc and "\n" not in doc for doc in field_docs(Settings).values())


def test_a_default_that_is_on_could_not_be_told_from_one_that_is_not_given() -> None:
    @dataclass
    class Config:
        loud: bool = True
        """Whether it is."""

    with pytest.raises(AssertionError, match="loud"):

        @optional(Config)
        class _Flags:
            """Of it."""


def test_docs_are_read_from_base_classes_too() -> None:
    @dataclass
    class Base:
        kind: Literal["a", "b"] = "a"
        """Which kind
        it is."""

    @dataclass
    class Config(Base):
        number: int = 0
        """How many."""

    assert field_docs(Config) == {"kind": "Which kind it is.", "number": "How many."}
