"""`fia forget`: which settings it finds with, and what it says of them."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from tiny_pipelines import tiny_sd

from fia import FIAError, NeuronMask
from fia.cli import main
from fia.commands import forget

FAST = ["--num-inference-steps", "4", "--saliency-steps", "2", "--prompts-per-concept", "2"]


@pytest.mark.parametrize(
    ("model", "mode", "options", "line"),
    [
        ("testbed", "default", {}, "Settings: recommended for testbed. "),
        ("owner/model", "default", {}, "Settings: the defaults. "),
        ("testbed", "paper", {"mode": "paper"}, "Settings: the paper's, except --mode paper. "),
        (
            "testbed",
            "default",
            {"spatial_ratio": 0.1, "layers": "*.fc2", "count_ties": True},
            "Settings: recommended for testbed, except --spatial-ratio 0.1 --layers '*.fc2' --count-ties. ",
        ),
    ],
)
def test_it_says_where_the_settings_are_from(model: str, mode: str, options: dict[str, Any], line: str) -> None:
    said = forget.settings_used(model, mode, options)
    assert said.startswith(line)
    assert "docs/recommended.md" in said


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
    assert planned == [{"settings": None, "keep": []} | expected]
    assert "Settings: the defaults, except --prompts-per-concept 2 --num-inference-steps 4" in capsys.readouterr().out


def test_where_it_will_write_is_tested_before_the_model_is_loaded(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for out, said in {tmp_path / "file": "cannot be written", folder: "replace it (--replace)"}.items():
        assert main(["forget", "no-such-model", "church", "--out", str(out)]) == 2
        assert said in capsys.readouterr().err


def test_a_mask_whose_folder_is_lost_is_saved_elsewhere(
    tmp_path: Path, mask: NeuronMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(FIAError, match=r"cannot be saved to .*; move it from there") as error:
        forget.save(mask, tmp_path / "file")
    (elsewhere,) = tmp_path.glob("fia-mask-*")
    assert str(elsewhere) in str(error.value)
    assert NeuronMask.from_pretrained(elsewhere).fingerprint == mask.fingerprint
