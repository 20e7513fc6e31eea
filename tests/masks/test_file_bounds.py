"""Mask files: memory is bounded by the file, one file decides, and names can be shown."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from forged import rewrite
from same_mask import assert_same_mask
from warned import warned

from fia import NeuronMask
from fia.masks import file as maskfile
from fia.masks.describe import describe, describe_json
from fia.masks.fusion import count_claims, fuse, strongest
from fia.masks.overlap import heat_map

PEAK = """
import json, resource, sys
import numpy, torch, fia
from fia.masks.mask import NeuronMask
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    NeuronMask.from_pretrained(sys.argv[1])
    said = "loaded"
except fia.FIAError as error:
    said = str(error)
print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def peak(folder):
    """Returns what loading a mask says, and the additional memory at its peak, in bytes."""
    out = subprocess.run([sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True).stdout
    said, kilobytes = json.loads(out.splitlines()[-1])
    return said, 1024 * kilobytes


def make_sparse(folder):
    """Makes the last tensor of a mask a gigabyte long, of which the disk holds nothing."""
    path = folder / "neurons.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    last = max((key for key in header if key != "__metadata__"), key=lambda key: header[key]["data_offsets"][1])
    start, stop = header[last]["data_offsets"]
    header[last] |= {"shape": [2**29], "data_offsets": [start, start + 2**30]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :][:stop])
    os.truncate(path, 8 + len(text) + start + 2**30)


@pytest.mark.slow
def test_refusing_a_sparse_file_takes_no_more_memory_than_it_takes_on_disk(folder):
    make_sparse(folder)
    path = folder / "neurons.safetensors"
    assert path.stat().st_size > 2**30
    said, memory = peak(folder)
    assert "was altered" in said
    assert memory < 4 * 512 * path.stat().st_blocks + 100e6


def test_a_header_larger_than_any_masks_is_refused_before_it_is_read(folder):
    path = folder / "neurons.safetensors"
    path.write_bytes((2**25).to_bytes(8, "little") + b" " * 100)
    os.truncate(path, 2**26)
    with pytest.raises(ValueError, match="its header takes 33,554,432 bytes"):
        NeuronMask.from_pretrained(folder)


def test_few_neurons_in_a_huge_layer_take_little_memory():
    few = [torch.tensor([3, 2**28 - 1], dtype=torch.int32), torch.tensor([3], dtype=torch.int32)]
    connections, claims = count_claims(few)
    assert (connections.tolist(), claims.tolist()) == ([3, 2**28 - 1], [2, 1])
    assert fuse(few, 0.5).tolist() == [2**28 - 1]
    assert strongest(few, [0.5, 0.25], torch.tensor([3, 2**28 - 1])).tolist() == [0.5, 0.5]


def test_more_claims_than_16_bits_hold_are_counted():
    one = torch.tensor([5], dtype=torch.int32)
    assert count_claims([one] * 40_000)[1].tolist() == [40_000]
    assert fuse([one] * 40_000, 0.6).tolist() == []


@pytest.mark.slow
def test_thousands_of_concepts_are_shown_in_time(mask):
    many = {
        f"concept {i}": {name: torch.tensor([i % 900], dtype=torch.int32) for name in mask.shapes} for i in range(3000)
    }
    large = replace(mask, neurons=many)
    assert "concept 2999" in describe(large)
    assert describe_json(large)["overlap"] is None


@pytest.mark.parametrize("name", ["", " ", "a\x1b[31m", "a\ud800"])
def test_names_that_cannot_be_shown_are_refused_with_the_path(folder, name):
    rewrite(folder, change_config=lambda config: config["concepts"].__setitem__(0, name))
    with pytest.raises(ValueError, match=r"neurons\.safetensors is not a mask"):
        NeuronMask.from_pretrained(folder)


def test_half_a_character_anywhere_is_refused(folder):
    rewrite(folder, change_config=lambda config: config.update(architecture="a\ud800"))
    with pytest.raises(ValueError, match="settings are not a JSON object"):
        NeuronMask.from_pretrained(folder)


def test_escapes_and_dollars_are_shown_as_they_are(mask):
    odd = replace(mask, neurons={"$a$b$": mask.neurons["church"], "$": mask.neurons["church"]}, weights_hash="\x1b[31m")
    assert "\x1b" not in describe(odd)
    assert r"\x1b[31m" in describe(odd)
    heat_map(odd).canvas.draw()


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "binary"])
def test_config_is_never_fatal_and_never_waited_for(mask, folder, kind):
    config = folder / "config.json"
    config.unlink()
    if kind == "fifo":
        os.mkfifo(config)
    elif kind == "device":
        config.symlink_to("/dev/zero")
    elif kind == "folder":
        config.mkdir()
    else:
        config.write_bytes(b"\xff" * 10)
    with warned(r"config\.json differs from the settings"):
        assert_same_mask(NeuronMask.from_pretrained(folder), mask)


def test_killed_at_any_rename_the_folder_holds_the_old_mask_or_the_new_one(mask, folder, monkeypatch):
    (folder / "evidence.json").write_text("{}")
    original, new = Path.replace, mask.without("church")

    class Killed(BaseException):
        pass

    for survived in range(3):
        mask.save_pretrained(folder)
        calls = []

        def replace_some(self, target, calls=calls, survived=survived):
            calls.append(target)
            if len(calls) > survived:
                raise Killed
            return original(self, target)

        monkeypatch.setattr(Path, "replace", replace_some)
        with suppress(Killed):
            new.save_pretrained(folder)
        monkeypatch.setattr(Path, "replace", original)
        assert_same_mask(NeuronMask.from_pretrained(folder), mask)
    new.save_pretrained(folder)
    assert_same_mask(NeuronMask.from_pretrained(folder), new)
    assert {path.name for path in folder.iterdir()} == {"neurons.safetensors", "config.json", "README.md"}


def test_the_evidence_of_another_mask_goes_but_stays_when_saving_fails(mask, folder, monkeypatch):
    (folder / "evidence.json").write_text("{}")
    monkeypatch.setattr(maskfile, "LARGEST_HEADER", 10)
    with pytest.raises(ValueError, match="too large for a file"):
        mask.save_pretrained(folder)
    assert (folder / "evidence.json").exists()
    monkeypatch.undo()
    mask.save_pretrained(folder)
    assert not (folder / "evidence.json").exists()


def test_a_mask_as_long_as_its_layers_is_read_back(mask, tmp_path):
    every = {name: torch.arange(np.prod(shape), dtype=torch.int32) for name, shape in mask.shapes.items()}
    whole = replace(mask, neurons={"church": every}, strengths={})
    whole.save_pretrained(tmp_path)
    assert_same_mask(NeuronMask.from_pretrained(tmp_path), whole)
