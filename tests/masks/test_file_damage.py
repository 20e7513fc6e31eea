"""Damaged, foreign and forged mask files are refused, and say what is wrong."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from forged import rewrite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch_file
from same_mask import assert_same_mask
from warned import warned

from fia import NeuronMask
from fia.masks import file as maskfile

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kept", [0, 4, 100, -1000, -1])
def test_a_truncated_file_is_refused(folder, kept):
    path = folder / "neurons.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"neurons\.safetensors is cut off or not a safetensors file"):
        NeuronMask.from_pretrained(folder)


def test_a_flipped_bit_anywhere_is_refused(folder):
    path = folder / "neurons.safetensors"
    original = path.read_bytes()
    for position in [*range(0, len(original), 101), len(original) - 1]:
        changed = bytearray(original)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"was altered|cut off or not a safetensors|is not a mask"):
            NeuronMask.from_pretrained(folder)


def test_flipped_tensor_data_is_named_as_altered(folder):
    path = folder / "neurons.safetensors"
    changed = bytearray(path.read_bytes())
    changed[-4] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"neurons\.safetensors was altered: its hash differs"):
        NeuronMask.from_pretrained(folder)


def test_one_file_decides_and_an_altered_config_is_warned_of(mask, folder):
    config = folder / "config.json"
    config.write_text(config.read_text().replace("church", "tench"))
    with warned(r"config\.json differs from the settings inside neurons\.safetensors, which are the ones that count"):
        assert_same_mask(NeuronMask.from_pretrained(folder), mask)
    config.unlink()
    (folder / "README.md").unlink()
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_a_tensor_of_a_type_that_numpy_lacks_is_refused(folder, dtype):
    save_torch_file({"counts": torch.zeros(1, dtype=dtype)}, folder / "neurons.safetensors", {"mask": "a\nb"})
    with pytest.raises(ValueError, match=r"is not a mask: tensor counts is (BF16|F8_E4M3)"):
        NeuronMask.from_pretrained(folder)


def test_a_foreign_safetensors_file_is_refused(folder):
    save_file({"counts": np.zeros(1, dtype=np.int32)}, folder / "neurons.safetensors")
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
    with pytest.raises(ValueError, match="cut off or not a safetensors file"):
        NeuronMask.from_pretrained(folder)
    torch.save(Touch(trap), folder / "neurons.safetensors")
    with pytest.raises(ValueError, match="cut off or not a safetensors file"):
        NeuronMask.from_pretrained(folder)
    assert not trap.exists()


@pytest.mark.parametrize(("key", "value"), [("format", "other"), ("format_version", 1), ("format_version", None)])
def test_another_format_or_version_is_refused(folder, key, value):
    rewrite(folder, change_config=lambda config: config.update({key: value}))
    with pytest.raises(ValueError, match=rf"{value!r}.*; this version of fia reads 'fia-neuron-mask' versions 3 to 4"):
        NeuronMask.from_pretrained(folder)


@pytest.mark.parametrize(
    "key", ["layers", "concepts", "agnostic_ratio", "architecture", "denoiser_parameters", "weights_hash", "strengths"]
)
def test_settings_without_a_field_are_refused(folder, key):
    rewrite(folder, change_config=lambda config: config.pop(key))
    with pytest.raises(ValueError, match="is not a mask"):
        NeuronMask.from_pretrained(folder)


@pytest.mark.parametrize("threshold", [0, 3, True, 2.0, None])
def test_a_threshold_that_is_not_1_or_2_is_refused(folder, threshold):
    rewrite(folder, change_config=lambda config: config.update(smallest_threshold=threshold))
    with pytest.raises(ValueError, match=r"its smallest_threshold '.*' makes no sense"):
        NeuronMask.from_pretrained(folder)


def test_a_file_without_a_smallest_threshold_has_that_of_the_package(mask, folder):
    rewrite(folder, change_config=lambda config: config.pop("smallest_threshold"))
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t["neurons.1"].__setitem__(0, 16 * 64),
            r"'golf ball' in .* \(16 x 64\) reaches connection",
        ),
        (lambda t: t["neurons.1"].__setitem__(399, 65535), "the code of 'golf ball' in .* ends within a gap"),
        (lambda t: t["counts"].__setitem__((0, 0), 399), "the neurons of 'church' do not add up"),
        (lambda t: t["counts"].__setitem__((0, slice(2)), [-1, 801]), "do not add up"),
        (lambda t: t.update({"neurons.2": t["neurons.2"].astype(int)}), "is not a mask: tensor neurons.2 is I64"),
        (lambda t: t.update({"neurons.2": t["neurons.2"].astype(np.int32)}), "the neurons of 'Van Gogh' do not add up"),
        (lambda t: t.update({"neurons.2": t["neurons.2"][None]}), "the neurons of 'Van Gogh' do not add up"),
        (lambda t: t.update(counts=t["counts"].astype(float)), "is not a mask: tensor counts is F64"),
        (lambda t: t.update(counts=t["counts"].astype(np.uint16)), "is not a mask of 3 concepts and 4 layers"),
        (lambda t: t.pop("neurons.2"), "is not a mask of 3 concepts and 4 layers, as it says"),
        (lambda t: t.pop("counts"), "is not a mask of 3 concepts and 4 layers, as it says"),
        (lambda t: t.update({"more": np.zeros(1, np.int32)}), "is not a mask of 3 concepts and 4 layers, as it says"),
        (lambda t: t.update(counts=t["counts"][:2].copy()), "is not a mask of 3 concepts and 4 layers, as it says"),
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
    with pytest.raises(ValueError, match=f"{name} does not belong to a mask; give another folder"):
        mask.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "layers",
    "concepts",
    "agnostic_ratio",
    "smallest_threshold",
    "architecture",
    "denoiser_parameters",
    "weights_hash",
    "strengths",
    "provenance",
)
anything = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load_or_refuse(folder):
    """Loads a mask; whatever is wrong with it, the error is a ValueError."""
    try:
        mask = NeuronMask.from_pretrained(folder)
    except ValueError:
        return
    for layers in mask.neurons.values():
        for name, (outputs, inputs) in mask.shapes.items():
            assert all(0 <= index < outputs * inputs for index in layers[name].tolist())


@anything
@given(field=st.sampled_from(FIELDS), value=json_values)
def test_any_settings_are_loaded_or_refused(mask, tmp_path, field, value):
    mask.save_pretrained(tmp_path)
    rewrite(tmp_path, change_config=lambda config: config.update({field: value}))
    load_or_refuse(tmp_path)


@anything
@given(settings_text=st.text(max_size=40) | st.just("[" * 100_000))
def test_any_text_in_place_of_settings_is_refused(mask, tmp_path, settings_text):
    mask.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "neurons.safetensors")
    metadata = {"mask": f"{maskfile._digest(settings_text, tensors)}\n{settings_text}"}
    save_file(tensors, tmp_path / "neurons.safetensors", metadata)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"is not a mask|has format"):
        NeuronMask.from_pretrained(tmp_path)


@anything
@given(name=st.sampled_from(["counts", "neurons.0"]), content=st.binary(max_size=64), kind=st.sampled_from("iuf"))
def test_any_numbers_in_place_of_neurons_are_loaded_or_refused(mask, tmp_path, name, content, kind):
    mask.save_pretrained(tmp_path)
    dtype = np.dtype({"i": np.int32, "u": np.uint16, "f": np.float32}[kind])
    numbers = np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)
    rewrite(tmp_path, lambda tensors: tensors.update({name: numbers}))
    load_or_refuse(tmp_path)


@anything
@given(data=st.data())
def test_any_bytes_are_loaded_or_refused(mask, tmp_path, data):
    mask.save_pretrained(tmp_path)
    path = tmp_path / "neurons.safetensors"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    load_or_refuse(tmp_path)


def test_a_file_of_version_3_is_a_mask_of_zeros(folder, mask):
    def older(config):
        config["format_version"] = 3
        del config["sites"], config["rewriting"]

    rewrite(folder, change_config=older)
    assert_same_mask(NeuronMask.from_pretrained(folder), mask)
