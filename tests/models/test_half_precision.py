"""A processor that is slow in half precision is noticed, once, and only there."""

import logging
from collections.abc import Iterator

import pytest
import torch
from warned import warned

from fia import load_testbed
from fia.drawing.images import Drawing
from fia.loading import load_pipeline
from fia.models import half_precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget_warnings() -> Iterator[None]:
    half_precision.warn_if_slow.cache_clear()
    yield
    half_precision.warn_if_slow.cache_clear()


def pretend(monkeypatch: pytest.MonkeyPatch, slowdown: float) -> None:
    monkeypatch.setattr(half_precision, "slowdown", lambda _dtype: slowdown)


def test_slowdown_compares_the_fastest_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([2.0, 1.0, 3.0, 2.0, 9.0, 6.0, 8.0, 7.0])  # in float32, then in bfloat16
    clock = (time for taken in seconds for time in (0.0, taken))
    monkeypatch.setattr(half_precision.time, "perf_counter", lambda: next(clock))
    assert half_precision.slowdown.__wrapped__(torch.bfloat16) == 6.0


@pytest.mark.parametrize(("slowdown", "slow"), [(0.3, False), (1.5, False), (66.0, True)])
def test_slow_is_several_times_slower(monkeypatch: pytest.MonkeyPatch, slowdown: float, slow: bool) -> None:
    pretend(monkeypatch, slowdown)
    assert half_precision.is_slow(CPU, torch.bfloat16) is slow
    assert half_precision.is_slow(CPU, torch.float16) is slow
    assert not half_precision.is_slow(CPU, torch.float32)
    assert not half_precision.is_slow(torch.device("cuda"), torch.float16)


@pytest.mark.parametrize("autocast", [False, True])
def test_autocast_warns_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, autocast: bool) -> None:
    pretend(monkeypatch, 66)
    pipe = load_testbed()
    with caplog.at_level(logging.WARNING, "fia"):
        for _ in range(2):
            Drawing(autocast=autocast).precision(pipe)
    messages = [record.message for record in caplog.records]
    assert len(messages) == autocast
    assert all("bfloat16: a product of matrices takes 66 times as long" in message for message in messages)
    assert all("--autocast" in message for message in messages)


def test_a_model_in_such_a_type_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 66)
    with warned(r"no instructions for float16.*66 times.*--dtype float32"):
        load_pipeline("testbed", device="cpu", dtype="float16")
