"""Damaged, foreign and forged mask files are refused, and say what is wrong."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_maskfile import assert_same_mask

from fia import NeuronMask, maskfile


def rewrite(folder, change_tensors=None, change_config=None):
    """Changes a saved mask and hashes it again, as somebody would who knows the format."""
    tensors, config = load_file(folder / "neurons.safetensors"), json.loads((folder / "config.json").read_text())
    if change_tensors:
        change_tensors(tensors)
    if change_config:
        change_config(config)
    text = json.dumps(config, indent=2)
    metadata = {"mask": f"{maskfile._digest(text, tensors)}\n{text}"}
    save_file(tensors, folder / "neurons.safetensors", metadata)
    (folder / "config.json").write_text(text + "\n")


@pytest.mark.parametrize("kept", [0, 4, 100, -1000, -1])
def test_a_truncated_file_is_refused(folder, kept):
    path = folder / "neurons.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"neurons\.safetensors is cut off or no safetensors file"):
        NeuronMask.from_pretrained(folder)


def test_a_flipped_bit_anywhere_is_refused(folder):
    path = folder / "neurons.safetensors"
    original = path.read_bytes()
    for position in [*range(0, len(original), 101), len(original) - 1]:
        changed = bytearray(original)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"was altered|cut off or no safetensors|is not a mask"):
            NeuronMask.from_pretrained(folder)


def test_flipped_tensor_data_is_named_as_altered(folder):
    path = folder / "neurons.safetensors"
    changed = bytearray(path.read_bytes())
    changed[-4] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"neurons\.safetensors was altered: its hash is not the one"):
        NeuronMask.from_pretrained(folder)


def test_an_altered_config_is_refused_and_a_missing_one_is_not_needed(mask, folder):
    config = folder / "config.json"
    config.write_text(config.read_text().replace("church", "tench"))
    with pytest.raises(ValueError, match=r"config\.json was altered: .* Delete config\.json to load the mask"):
        NeuronMask.from_pretrained(folder)
    config.unlink()
    (folder / "README.md").unlink()
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)


def test_a_foreign_safetensors_file_is_refused(folder):
    save_file({"counts": torch.zeros(1)}, folder / "neurons.safetensors")
    with pytest.raises(ValueError, match=r"is not a mask: its metadata has no 'mask'"):
        NeuronMask.from_pretrained(folder)


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickled_file_is_refused_and_not_executed(folder, tmp_path):
    trap = tmp_path / "executed"
    (folder / "neurons.safetensors").write_bytes(pickle.dumps(Touch(trap)))
    with pytest.raises(ValueError, match="cut off or no safetensors file"):
        NeuronMask.from_pretrained(folder)
    torch.save(Touch(trap), folder / "neurons.safetensors")
    with pytest.raises(ValueError, match="cut off or no safetensors file"):
        NeuronMask.from_pretrained(folder)
    assert not trap.exists()


@pytest.mark.parametrize(("key", "value"), [("format", "other"), ("format_version", 2), ("format_version", None)])
def test_another_format_or_version_is_refused(folder, key, value):
    rewrite(folder, change_config=lambda config: config.update({key: value}))
    with pytest.raises(ValueError, match=rf"{value!r}.*; this version of fia reads 'fia-neuron-mask' version 1"):
        NeuronMask.from_pretrained(folder)


@pytest.mark.parametrize("key", ["layers", "concepts", "agnostic_ratio", "architecture", "denoiser_parameters"])
def test_settings_without_a_field_are_refused(folder, key):
    rewrite(folder, change_config=lambda config: config.pop(key))
    with pytest.raises(ValueError, match="is not a mask"):
        NeuronMask.from_pretrained(folder)


def set_first(index):
    return lambda tensors: tensors["neurons.1"].__setitem__(0, index)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["neurons.1"].__setitem__(399, 16 * 64), "of 'golf ball' lie outside layer .* of 16 x 64"),
        (set_first(-1), "lie outside layer"),
        (set_first(1023), "lie outside layer"),  # no longer ascending
        (lambda t: t["neurons.1"].__setitem__(1, t["neurons.1"][0]), "lie outside layer"),  # twice the same
        (lambda t: t["counts"].__setitem__((0, 0), 399), "the neurons of 'church' do not add up"),
        (lambda t: t["counts"].__setitem__((0, slice(2)), torch.tensor([-1, 801])), "do not add up"),
        (lambda t: t.update({"neurons.2": t["neurons.2"].long()}), "the neurons of 'Van Gogh' do not add up"),
        (lambda t: t.pop("neurons.2"), "is not a mask of 3 concepts and 4 layers, as it says"),
        (lambda t: t.pop("counts"), "is not a mask of 3 concepts and 4 layers, as it says"),
        (lambda t: t.update({"more": torch.zeros(1)}), "is not a mask of 3 concepts and 4 layers, as it says"),
        (lambda t: t.update(counts=t["counts"][:2].clone()), "is not a mask of 3 concepts and 4 layers, as it says"),
    ],
)
def test_neurons_that_make_no_sense_are_refused_though_the_hash_is_right(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        NeuronMask.from_pretrained(folder)


def test_a_rewritten_file_is_accepted_where_nothing_is_wrong(mask, folder):
    rewrite(folder)
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)


@pytest.mark.parametrize("name", ["config.json", "README.md"])
def test_files_of_something_else_are_not_overwritten(mask, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"{name} belongs to something else than a mask; give another folder"):
        mask.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"
