"""The folder of a mask: everything comes back, and a save that fails leaves the old mask."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from same_mask import assert_same_mask

from fia import NeuronMask
from fia.masks import file as maskfile

FILES = {"neurons.safetensors", "config.json", "README.md"}


def test_everything_comes_back(mask, folder):
    assert {path.name for path in folder.iterdir()} == FILES
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)
    assert_same_mask(NeuronMask.from_pretrained(str(folder)), mask)


def test_saving_again_writes_the_same_bytes(folder, tmp_path):
    NeuronMask.from_pretrained(folder).save_pretrained(tmp_path / "again")
    assert all((folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in FILES)


def test_a_mask_without_concepts_and_one_without_neurons_come_back(mask, tmp_path):
    nothing = mask.without(*mask.concepts)
    empty = {name: torch.empty(0, dtype=torch.int32) for name in mask.shapes}
    for i, odd in enumerate((nothing, replace(mask, neurons={"church": empty, "tench": empty}))):
        odd.save_pretrained(tmp_path / str(i))
        assert_same_mask(NeuronMask.from_pretrained(tmp_path / str(i)), odd)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
visible = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"])
concept_names = st.text(visible, min_size=1, max_size=12).filter(str.strip)


@st.composite
def masks(draw):
    """Any mask: any names of concepts and layers, any shapes, any neurons."""
    sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
    shapes = draw(st.dictionaries(names, sizes, min_size=1, max_size=4))
    neurons = {
        concept: {
            name: torch.tensor(sorted(draw(st.sets(st.integers(0, rows * columns - 1)))), dtype=torch.int32)
            for name, (rows, columns) in shapes.items()
        }
        for concept in draw(st.lists(concept_names, unique=True, max_size=4))
    }
    alpha = draw(st.floats(0, 2))
    strengths = {
        concept: draw(st.floats(0.01, 1)) for concept in draw(st.sets(st.sampled_from(list(neurons) or [None])))
    }
    record = draw(st.dictionaries(names, st.none() | st.integers() | names | st.lists(names), max_size=3))
    record["concepts"] = [{"name": concept} for concept in neurons]
    strengths.pop(None, None)
    return NeuronMask(
        neurons,
        shapes,
        alpha,
        draw(names),
        draw(st.integers(1, 2**40)),
        draw(names),
        strengths,
        draw(st.none() | names),
        [record],
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(any_mask=masks())
def test_any_mask_comes_back(any_mask, tmp_path):
    any_mask.save_pretrained(tmp_path)
    loaded = NeuronMask.from_pretrained(tmp_path)
    assert_same_mask(loaded, any_mask)
    assert all(torch.equal(loaded.pruned[name], any_mask.pruned[name]) for name in any_mask.shapes)
    assert loaded.fingerprint == any_mask.fingerprint


def test_a_folder_without_a_mask_and_no_folder_are_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no mask: there is no neurons\.safetensors in it"):
        NeuronMask.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*nowhere', and no repository has such a name"):
        NeuronMask.from_pretrained(tmp_path / "nowhere")


def test_a_mask_is_fetched_from_the_hub_and_nothing_else_is(mask, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(maskfile, "snapshot_download", lambda name, **options: asked.append((name, options)) or folder)
    assert_same_mask(NeuronMask.from_pretrained("somebody/no-church"), mask)
    ((name, options),) = asked
    assert (name, set(options["allow_patterns"])) == ("somebody/no-church", FILES)


def test_a_hub_that_cannot_be_reached_is_said_to_have_no_mask(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route.\nPlease check your connection.")

    monkeypatch.setattr(maskfile, "snapshot_download", unreachable)
    said = r"no folder 'somebody/no-church', and the Hub gives no such mask \(no route\)\. .*of a repository\.$"
    with pytest.raises(FileNotFoundError, match=said):
        NeuronMask.from_pretrained("somebody/no-church")


def test_a_folder_of_a_similar_name_is_suggested(folder, monkeypatch):
    monkeypatch.setattr(maskfile, "snapshot_download", Mock(side_effect=OSError("offline")))
    with pytest.raises(FileNotFoundError, match=f"no folder '{folder}s'.* Did you mean '{folder}'"):
        NeuronMask.from_pretrained(f"{folder}s")


@pytest.mark.parametrize("failing", [".neurons", ".config", ".README"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_saving_over_a_mask_that_fails_midway_keeps_the_old_one(mask, folder, monkeypatch, failing, error):
    for method in ("write_bytes", "write_text"):
        original = getattr(Path, method)

        def write(path, content, *args, _original=original, **options):
            if path.name.startswith(failing):
                _original(path, content[:10], *args, **options)
                raise error("disk full")
            return _original(path, content, *args, **options)

        monkeypatch.setattr(Path, method, write)
    with pytest.raises(error, match="disk full"):
        mask.without("church").save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)


def test_the_model_card_and_the_config_can_be_read_by_people(mask, folder):
    card = (folder / "README.md").read_text()
    assert all(f"- {name} ({kind})" in card for name, kind in mask.kinds.items())
    assert f"It prunes {mask.number_pruned:,} connections ({mask.sparsity:.2%} of" in card
    config = json.loads((folder / "config.json").read_text())
    assert (config["concepts"], config["agnostic_ratio"]) == (list(mask.concepts), mask.agnostic_ratio)
    assert config["provenance"] == mask.provenance


DRAW = """
import hashlib, sys
import torch
from tiny_pipelines import tiny_sd
from fia import NeuronMask
torch.set_num_threads(1)
pipe = tiny_sd()
if len(sys.argv) > 1:
    NeuronMask.from_pretrained(sys.argv[1]).apply(pipe)
image = pipe("a church", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="np").images
print(hashlib.sha256(image.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_mask_loaded_in_another_process_draws_the_same_bits(pipe, mask, folder):
    def elsewhere(*arguments):
        command = [sys.executable, "-c", DRAW, *arguments]
        return subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True).stdout

    def here():
        generator = torch.Generator().manual_seed(0)
        image = pipe("a church", num_inference_steps=2, generator=generator, output_type="np").images
        return hashlib.sha256(image.tobytes()).hexdigest() + "\n"

    before = here()
    assert elsewhere() == before
    with mask.applied(pipe):
        assert elsewhere(str(folder)) == here() != before
