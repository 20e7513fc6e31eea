"""The command line, run in this process on a small pipeline in a folder."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_pipelines import tiny_sd

from fia import Concept, NeuronMask
from fia.cli import main
from fia.concepts import parse_concept
from fia.loading import load_pipeline

FAST = ["--num-inference-steps", "4", "--saliency-steps", "2", "--prompts-per-concept", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_sd().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def mask_folder(model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("masks") / "two"
    assert main(["forget", model, "church", "Van Gogh:style", "--out", str(folder), *FAST]) == 0
    return str(folder)


def test_concepts_may_carry_their_kind() -> None:
    assert parse_concept("church") == "church"
    assert parse_concept("Van Gogh:style") == Concept("Van Gogh", "style")


def test_forget_writes_a_mask_of_the_named_concepts(mask_folder: str) -> None:
    mask = NeuronMask.from_pretrained(mask_folder)
    assert mask.concepts == ("church", "Van Gogh")
    assert mask.number_pruned > 0
    assert mask.provenance[0]["settings"]["saliency_steps"] == 2


def test_forget_takes_a_preset_and_prints_json(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", model, "--preset", "explicit", "--out", str(tmp_path / "m"), "--json", *FAST]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(shown["concepts"]) == ["naked", "sexual"]
    assert shown["provenance"][0]["concepts"][1]["temporal_ratio"] == 0.06


def test_show_prints_concepts_layers_and_settings(mask_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", mask_folder]) == 0
    text = capsys.readouterr().out
    for part in ("church", "Van Gogh", "ff.net.2", "saliency_steps 2", "alpha 1.01", "rewritten"):
        assert part in text
    assert main(["show", mask_folder, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["pruned"] == sum(layer["pruned"] for layer in shown["layers"].values())


def test_apply_writes_a_model_with_the_new_values_in_it(model: str, mask_folder: str, tmp_path: Path) -> None:
    out = tmp_path / "edited"
    assert main(["apply", model, mask_folder, "--out", str(out)]) == 0
    mask, pipe = NeuronMask.from_pretrained(mask_folder), load_pipeline(str(out))
    untouched = load_pipeline(model)
    for name, indices in mask.pruned.items():
        before, after = (each.unet.get_submodule(name).weight.detach().flatten() for each in (untouched, pipe))
        before[indices.long()] += mask.added[name]
        assert torch.equal(after, before)
    assert main(["apply", model, mask_folder, "--out", str(out)]) == 2


def test_generate_draws_pairs_from_equal_seeds(model: str, mask_folder: str, tmp_path: Path) -> None:
    arguments = ["generate", model, "a church", "a cat", "--mask", mask_folder, "--seeds", "3", "4"]
    assert main([*arguments, "--out", str(tmp_path), "--num-inference-steps", "2"]) == 0
    names = {f"prompt{p}-seed{s}-{state}.png" for p in (0, 1) for s in (3, 4) for state in ("before", "after")}
    assert {path.name for path in tmp_path.iterdir()} == names | {"comparison.png"}
    pipe = load_pipeline(model)
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 4, 3, 4)]
    prompts = ["a church", "a church", "a cat", "a cat"]
    expected = pipe(prompts, generator=generators, num_inference_steps=2, guidance_scale=7.5).images
    with Image.open(tmp_path / "prompt1-seed4-before.png") as image:
        assert image.tobytes() == expected[3].tobytes()


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forget", "{model}", "church:painting", "--out", "{out}"], "kind 'painting'"),
        (["forget", "{model}", "--out", "{out}"], "No concept was given"),
        (["forget", "{model}", "a", "--spatial-ratio", "2", "--out", "{out}"], "spatial_ratio=2.0 is outside"),
        (["forget", "{out}/none", "church", "--out", "{out}"], "There is no folder"),
        (["forget", "{out}", "church", "--out", "{out}/m"], "no model_index.json"),
        (["show", "{out}"], "holds no mask"),
        (["generate", "{model}", "--out", "{out}"], "No prompt was given"),
    ],
)
def test_errors_are_one_line_and_exit_with_2(
    arguments: list[str], message: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([text.format(model=model, out=tmp_path) for text in arguments]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert not (tmp_path / "config.json").exists()
