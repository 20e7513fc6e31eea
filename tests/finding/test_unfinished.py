"""Findings that are interrupted, or shared by processes, give the mask that one process gives that is left alone."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from quick_finding import SETTINGS, assert_same_neurons, find
from safetensors.torch import load_file
from tiny_pipelines import tiny_sd

from fia import Concept, NeuronMask
from fia.cli import main
from fia.masks.file import NEURONS

pytestmark = pytest.mark.slow

CONCEPTS = ["church", "tench", "golf ball", Concept("Monet", "style")]
SIX = ["church", "tench", "golf ball", "gas pump", "parachute", "Monet:style"]
ONE_BY_ONE = {"concepts_at_once": 1}
STEPS = SETTINGS.saliency_steps


class Interrupter:
    """Counts steps, and interrupts after a number of them."""

    def __init__(self, after: int = 1000) -> None:
        self.after, self.seen = after, 0

    def __call__(self, done: int, total: int) -> None:
        self.seen += 1
        self.last = (done, total)
        if self.seen == self.after:
            raise KeyboardInterrupt


def interrupted(pipe: Any, folder: Path, after: int, **settings: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        find(pipe, CONCEPTS, unfinished=folder, on_step=Interrupter(after), **ONE_BY_ONE, **settings)


@pytest.mark.parametrize("after", [1, 2 * STEPS + 1, 4 * STEPS])
def test_an_interrupted_finding_goes_on_with_the_first_concept_that_was_not_found(pipe, tmp_path, after):
    expected = find(pipe, CONCEPTS, **ONE_BY_ONE)
    interrupted(pipe, tmp_path, after)
    counter = Interrupter()
    mask = find(pipe, CONCEPTS, unfinished=tmp_path, on_step=counter, **ONE_BY_ONE)
    assert counter.seen == STEPS * (4 - (after - 1) // STEPS)  # a step that interrupts is lost with its concept
    assert counter.last == (4 * STEPS, 4 * STEPS)
    assert_same_neurons(mask, expected)
    assert mask.concepts == expected.concepts
    assert mask.fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"spatial_ratio": 0.1}, {"guidance_scale": 3}, {"batch_size": 1}, {"saliency_steps": 1}]
)
def test_what_was_found_in_another_way_is_not_taken(pipe, tmp_path, change):
    interrupted(pipe, tmp_path, 2 * STEPS + 1)
    counter = Interrupter()
    mask = find(pipe, CONCEPTS, unfinished=tmp_path, on_step=counter, **ONE_BY_ONE, **change)
    assert counter.seen == counter.last[1] == 4 * change.get("saliency_steps", STEPS)
    assert_same_neurons(mask, find(pipe, CONCEPTS, **ONE_BY_ONE, **change))


def scale(pipe, model, name):
    with torch.no_grad():
        getattr(pipe, model).get_parameter(name).mul_(1.01)


@pytest.mark.parametrize(
    "change",
    [
        lambda pipe: scale(pipe, "unet", "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2.weight"),
        lambda pipe: scale(pipe, "unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v.weight"),
        lambda pipe: scale(pipe, "text_encoder", next(name for name, _ in pipe.text_encoder.named_parameters())),
        lambda pipe: pipe.unet.register_to_config(sample_size=2 * pipe.unet.config.sample_size),
        lambda pipe: setattr(pipe, "scheduler", type(pipe.scheduler).from_config(pipe.scheduler.config, beta_end=0.02)),
    ],
    ids=["masked layer", "attention", "text encoder", "size", "schedule"],
)
def test_what_was_found_in_another_model_is_not_taken(pipe, tmp_path, change):
    interrupted(pipe, tmp_path, 2 * STEPS + 1)
    change(pipe)
    counter = Interrupter()
    find(pipe, CONCEPTS, unfinished=tmp_path, on_step=counter, **ONE_BY_ONE)
    assert counter.seen == 4 * STEPS


def test_another_alpha_takes_what_was_found(pipe, tmp_path):
    interrupted(pipe, tmp_path, 3 * STEPS + 1)
    counter = Interrupter()
    mask = find(pipe, CONCEPTS, unfinished=tmp_path, on_step=counter, agnostic_ratio=0.3, **ONE_BY_ONE)
    assert counter.seen == STEPS
    assert mask.agnostic_ratio == 0.3


def test_what_is_damaged_is_an_error_and_not_taken(pipe, tmp_path):
    interrupted(pipe, tmp_path, STEPS + 1)
    (file,) = tmp_path.rglob(NEURONS)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ValueError, match=str(file.parent)):
        find(pipe, CONCEPTS, unfinished=tmp_path, **ONE_BY_ONE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_sd().save_pretrained(folder)
    return folder


def forget(model: Path, out: Path, *flags: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    """Starts `fia forget` in a process of its own."""
    arguments = ["-m", "fia", "forget", str(model), *SIX, "--out", str(out), "--concepts-at-once", "2", *flags]
    command = [sys.executable, *launcher, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def succeed(process: subprocess.Popen) -> str:
    """Waits for a process that must not fail; returns what it printed."""
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out


def neurons(folder: Path) -> dict[str, list[int]]:
    tensors = load_file(folder / NEURONS)
    return {name: tensor.tolist() for name, tensor in tensors.items() if name.startswith(("counts", "neurons"))}


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mask of one process that is left alone."""
    folder = tmp_path_factory.mktemp("alone") / "mask"
    assert succeed(forget(model, folder)).count("The mask is in") == 1
    return folder


def test_two_processes_find_the_mask_of_one(model, alone, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert succeed(forget(model, tmp_path / "shared", launcher=launcher)).count("The mask is in") == 1
    assert neurons(tmp_path / "shared") == neurons(alone)
    masks = [NeuronMask.from_pretrained(folder) for folder in (alone, tmp_path / "shared")]
    for name in masks[0].shapes:  # the last bits depend on how a library of linear algebra finds its memory aligned
        torch.testing.assert_close(masks[0].added[name], masks[1].added[name], rtol=1e-2, atol=1e-4)
    assert {path.name for path in tmp_path.iterdir()} == {"shared"}


WAITING = """
import sys, time
from fia.__main__ import main
from fia.finding.unfinished import Unfinished

keep = Unfinished.keep

def keep_and_wait(*arguments):
    keep(*arguments)
    time.sleep(5)

Unfinished.keep = keep_and_wait
sys.argv = ["fia", *sys.argv[3:]]
sys.exit(main())
"""


def test_a_command_that_is_killed_goes_on(model, alone, tmp_path):
    waiting, unfinished = tmp_path / "waiting.py", tmp_path / "killed.unfinished"
    waiting.write_text(WAITING)  # after each group, so that there is time to kill it
    for groups, how in ((1, signal.SIGINT), (2, signal.SIGKILL)):
        process = forget(model, tmp_path / "killed", launcher=(str(waiting),))
        while process.poll() is None and len([path for path in unfinished.glob("*") if not path.suffix]) < groups:
            time.sleep(0.01)
        process.send_signal(how)
        _, errors = process.communicate()
        assert process.returncode != 0, "It ended before it could be killed."
        assert how == signal.SIGKILL or f"so far is in {unfinished}" in errors
        assert not (tmp_path / "killed").exists()
    succeed(forget(model, tmp_path / "killed"))
    assert neurons(tmp_path / "killed") == neurons(alone)
    assert not unfinished.exists()


def test_a_dry_run_says_what_it_takes_and_writes_nothing(model, tmp_path, capsys):
    flags = ["--out", str(tmp_path / "mask"), "--concepts-at-once", "2", "--dry-run", "--json", "--batch-size", "4"]
    assert main(["forget", str(model), *SIX, *flags]) == 0
    taken = json.loads(capsys.readouterr().out)
    # Objects: 5 base prompts, and 5 for each of five concepts, two at a time; a style by itself.
    assert (taken["concepts"], taken["groups"]) == (6, 4)
    assert taken["prompts"] == 3 * 5 + 5 * 5 + 2 * 5
    assert taken["rows"] == 2 * 10 * taken["prompts"]
    assert taken["calls"] == 2 * 10 * (4 + 4 + 3 + 3)  # of at most 4 rows: 15, 15, 10 and 10 prompts
    assert (taken["layers"], taken["connections"]) == (8, 4 * 16 * 64 + 4 * 16 * 16)
    assert taken["memory"] == 4 * taken["connections"] * (2 + 2 * 2)
    assert taken["seconds"] > 0
    assert not list(tmp_path.iterdir())
