"""`fia forget`: which settings it finds with, and what it says of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_pipelines import tiny_sd

from fia.cli import main
from fia.commands import forget
from fia.finding.plan import choose_settings
from fia.settings import Settings

FAST = ["--num-inference-steps", "4", "--saliency-steps", "2", "--prompts-per-concept", "2"]


def plan(model: str, **options: Any) -> SimpleNamespace:
    """Returns as much of a plan as the line about settings needs."""
    pipe = SimpleNamespace(config={"_name_or_path": model})
    _, settings = choose_settings(pipe, ["church"], None, options)  # type: ignore[arg-type]
    return SimpleNamespace(pipe=pipe, settings=settings)


@pytest.mark.parametrize(
    ("model", "options", "line"),
    [
        ("testbed", {}, "Found with the settings recommended for testbed. "),
        ("owner/model", {}, "Found with the paper's settings. "),
        ("testbed", {"mode": "paper"}, "Found with the paper's settings, but --mode paper. "),
        (
            "testbed",
            {"spatial_ratio": 0.1, "layers": "*.fc2"},
            "Found with the settings recommended for testbed, but --spatial-ratio 0.1 --layers '*.fc2'. ",
        ),
    ],
)
def test_it_says_where_the_settings_are_from(model: str, options: dict[str, Any], line: str) -> None:
    said = forget.settings_used(plan(model, **options), options)  # type: ignore[arg-type]
    assert said.startswith(line)
    assert "docs/settings.md" in said


def test_only_what_is_given_goes_before_what_is_recommended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned: list[dict[str, Any]] = []
    original = forget.plan_finding

    def keep(pipe, concepts, settings=None, **overrides):
        planned.append({"settings": settings} | overrides)
        return original(pipe, concepts, settings, **overrides)

    monkeypatch.setattr(forget, "plan_finding", keep)
    tiny_sd().save_pretrained(tmp_path / "tiny")
    assert main(["forget", str(tmp_path / "tiny"), "church", "--out", str(tmp_path / "mask"), *FAST]) == 0
    expected = {"num_inference_steps": 4, "saliency_steps": 2, "prompts_per_concept": 2}
    assert planned == [{"settings": None} | expected]
    assert (
        "Found with the paper's settings, but --prompts-per-concept 2 --num-inference-steps 4"
        in capsys.readouterr().out
    )
    assert Settings().seed == 0  # a flag that was not given is not the settings' default given once more
