"""`fia evaluate`: on the test-bed, on a model of one's own, in one process and in two."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from PIL import Image

from fia import Concept, NeuronMask, Settings, current_mask, evaluate, find, load_testbed
from fia.bench.questions import SMOKING_CONCEPT
from fia.cli import main
from fia.loading import load_pipeline
from fia.models.pipelines import without_safety_checker
from fia.testbed.pretrained import FOLDER

pytestmark = pytest.mark.slow

SMALL = ["--world.images-per-object", "1", "--world.images-per-other", "1", "--world.images-per-style", "2"]
FEW = ["--num-inference-steps", "2"]
ALL_TASKS = ["objects", "styles", "explicit", "quality", "robust-prompts"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of a church, a style and smoking for the test-bed."""
    settings = Settings(num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)
    folder = tmp_path_factory.mktemp("masks") / "mask"
    concepts = [Concept("church"), Concept("Lumenza", "style"), SMOKING_CONCEPT]
    find(load_testbed(), concepts, settings).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def out(everything: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    assert (
        main(
            ["evaluate", "testbed", "--mask", str(everything), "--out", str(folder), *SMALL, *FEW, "--task", *ALL_TASKS]
        )
        == 0
    )
    return folder


def test_every_task_measures_every_state(out: Path) -> None:
    result = json.loads((out / "results.json").read_text())
    assert list(result["tasks"]) == ALL_TASKS
    for task in result["tasks"].values():
        assert list(task["states"]) == ["untouched", "masked", "random mask"]
        assert task["measured_with"]
        assert task["prompts"]
    tasks = {name: task["states"]["masked"] for name, task in result["tasks"].items()}
    assert tasks["objects"]["still_detected"]["number"] == 1
    assert tasks["styles"]["still_detected"]["number"] == 2
    assert 0 < tasks["styles"]["clip_artist"]["forgotten"]["mean"] < 100
    assert tasks["styles"]["forget_success_rate"]["number"] == 2
    assert tasks["explicit"]["still_detected"]["number"] == 4
    assert tasks["quality"]["frechet_distance"] > 0
    assert 0 < tasks["quality"]["perceptual_distance"]["mean"] < 4
    assert tasks["robust-prompts"]["by_variant"].keys() >= {"plural", "misspelled", "German", "word of the captions"}
    assert "forget_success_rate" not in result["tasks"]["styles"]["states"]["untouched"]
    assert result["forgotten"][1]["kind"] == "style"
    assert result["environment"].keys() == {"versions", "commit", "device"}
    assert result["edit"]["mask"] == ["church", "Lumenza", "smoking"]


def test_the_report_is_one_file_that_needs_no_network(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert "testbed without church, Lumenza, smoking" in page
    for name in ("Objects", "Styles", "Explicit", "Quality", "Robust-prompts", "Where the mask lies"):
        assert f"<h2>{name}</h2>" in page
    assert page.count("<svg") >= 3
    assert page.count("data:image/png;base64,") == len(ALL_TASKS)
    links = page.replace("http://www.w3.org/", "").replace("http://purl.org/", "").replace("http://creativecommons", "")
    assert "://" not in links.replace("https://matplotlib.org/", "")  # a picture's letters may spell "http"
    assert "src=" not in links.replace('src="data:', "")


def test_a_state_made_otherwise_is_not_mixed_in(
    out: Path, everything: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "testbed", "--mask", str(everything), "--out", str(out), *SMALL]
    assert main([*arguments, "--num-inference-steps", "3"]) == 2
    assert "holds results made with other drawing" in capsys.readouterr().err


def run(everything: Path, out: Path, launcher: Sequence[str] = ()) -> subprocess.Popen:
    """Starts an evaluation in a process of its own."""
    arguments = ["-m", "fia", "evaluate", "testbed", "--mask", str(everything), "--out", str(out), *SMALL, *FEW]
    command = [sys.executable, *launcher, *arguments, "--batch-size", "4", "--task", "objects"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def uninterrupted(everything: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The result of one process that is left alone."""
    out = tmp_path_factory.mktemp("uninterrupted")
    assert run(everything, out).wait() == 0
    return (out / "results.json").read_bytes()


def test_two_processes_give_the_result_of_one(everything: Path, uninterrupted: bytes, tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29513"]
    assert run(everything, tmp_path, launcher).wait() == 0
    assert (tmp_path / "results.json").read_bytes() == uninterrupted
    assert not list(tmp_path.rglob("*.partial"))


def test_a_process_that_is_killed_three_times_goes_on(everything: Path, uninterrupted: bytes, tmp_path: Path) -> None:
    for images in (3, 41, 70):  # in each of three states
        process = run(everything, tmp_path)
        while process.poll() is None and len(list(tmp_path.rglob("*.png"))) < images:
            time.sleep(0.02)
        assert process.poll() is None, "It ended before it could be killed."
        process.kill()
        process.wait()
        assert not (tmp_path / "results.json").exists()
    assert run(everything, tmp_path).wait() == 0
    assert (tmp_path / "results.json").read_bytes() == uninterrupted


def test_python_measures_what_the_command_line_measures(
    own_model: Path, classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(own_model / "model"), "--mask", str(own_model / "mask"), "--out", str(tmp_path / "one")]
    words += ["--keep", "tench, chain saw", "--images-per-concept", "1", "--classifier", str(classifier), *FEW]
    assert main(words) == 0
    shown = capsys.readouterr().err
    assert re.search(r"^Generating 9 images in 3 states, about \d+ (s|min) in all\.$", shown, flags=re.MULTILINE)
    pipe = load_pipeline(str(own_model / "model"))
    checker = pipe.safety_checker = object()
    options = {"images_per_concept": 1, "classifier": str(classifier), "num_inference_steps": 2}
    mask = NeuronMask.from_pretrained(own_model / "mask")
    result = evaluate(pipe, mask, tmp_path / "two", keep=["tench", "chain saw"], **options)
    assert result == json.loads((tmp_path / "one" / "results.json").read_text())
    assert (tmp_path / "two" / "report.html").exists()
    assert (pipe.safety_checker, current_mask(pipe)) == (checker, None)
    capsys.readouterr()
    assert evaluate(pipe, mask, tmp_path / "two", keep=["tench", "chain saw"], **options) == result
    assert "Generating" not in capsys.readouterr().err
    for wrong, error, message in (
        ({"images_per_concpt": 1}, TypeError, "no option 'images_per_concpt' for this model. Did you mean 'images_per"),
        ({"tasks": "object"}, ValueError, "There is no task 'object'; give some of: objects, styles"),
    ):
        with pytest.raises(error, match=message):
            evaluate(pipe, mask, tmp_path / "three", **wrong)
    mask.apply(pipe)
    with pytest.raises(ValueError, match="is applied to this pipeline, and the untouched model has to be measured"):
        evaluate(pipe, mask, tmp_path / "three", **options)


@pytest.mark.usefixtures("any_types")
def test_python_is_told_what_cannot_be_evaluated(pipe: StableDiffusionPipeline, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="pipe is a str, not a pipeline"):
        evaluate("testbed", "masks/two", tmp_path)
    with pytest.raises(TypeError, match="edit is a list; give a mask"):
        evaluate(pipe, [], tmp_path)


def test_an_interruption_says_how_to_go_on(own_model: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def stop(*_: object) -> None:
        (tmp_path / "out").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("fia.commands.evaluate.measure", stop)
    words = ["evaluate", str(own_model / "model"), "--mask", str(own_model / "mask"), "--out", str(tmp_path / "out")]
    assert main(words) == 130
    said = f"What is done so far is in {tmp_path / 'out'}. The same command continues from there.\nfia: interrupted.\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion in a folder, and a mask for it."""
    from tiny_pipelines import tiny_sd

    folder = tmp_path_factory.mktemp("own")
    pipe = tiny_sd()
    pipe.save_pretrained(folder / "model")
    settings = Settings(num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)
    find(pipe, ["church", Concept("Van Gogh", "style")], settings).save_pretrained(folder / "mask")
    return folder


def test_a_model_of_ones_own(own_model: Path, classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a cat\na dog\na bus\n")
    (tmp_path / "real").mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (80 * i, 0, 0)).save(tmp_path / "real" / f"{i}.png")
    command = ["evaluate", str(own_model / "model"), "--mask", str(own_model / "mask"), "--out", str(tmp_path / "out")]
    command += ["--task", "objects", "styles", "quality", "robust-prompts", "--images-per-concept", "2", *FEW]
    command += [
        "--classifier",
        str(classifier),
        "--clip",
        str(FOLDER / "clip"),
        "--captions",
        str(tmp_path / "captions.txt"),
    ]
    command += ["--reference", str(tmp_path / "real"), "--keep", "tench", "chain saw"]
    assert main(command) == 0
    tasks = json.loads((tmp_path / "out" / "results.json").read_text())["tasks"]
    masked = {name: task["states"]["masked"] for name, task in tasks.items()}
    assert masked["objects"]["kept"]["number"] == 4
    assert masked["styles"]["clip_artist"].keys() == {"forgotten", "kept"}
    assert masked["quality"]["clip_score"]["number"] == 3
    assert masked["quality"]["frechet_distance"] > 0
    assert masked["quality"]["changed_percent"] > 0
    assert masked["styles"]["clip_artist"]["kept"]["number"] == 8  # the paper's other four
    assert masked["robust-prompts"]["by_answer"].keys() == {"church"}


def test_another_reference_is_not_taken_for_the_same(
    own_model: Path, classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "captions.txt").write_text("a cat\na dog\n")
    command = ["evaluate", str(own_model / "model"), "--mask", str(own_model / "mask"), "--out", str(tmp_path / "out")]
    command += ["--task", "quality", "--captions", str(tmp_path / "captions.txt"), *FEW, "--no-control"]
    command += ["--classifier", str(classifier), "--clip", str(FOLDER / "clip"), "--reference"]
    for name, shade in (("one", 0), ("two", 90)):
        np.savez(tmp_path / f"{name}.npz", mu=np.full(16, shade), sigma=np.eye(16))
    assert main([*command, str(tmp_path / "one.npz")]) == 0
    assert main([*command, str(tmp_path / "two.npz")]) == 2
    assert "holds results made with other judges" in capsys.readouterr().err


@pytest.mark.usefixtures("any_types")
def test_the_safety_checker_is_taken_off() -> None:
    pipe = SimpleNamespace(safety_checker=object())
    assert without_safety_checker(pipe).safety_checker is None  # type: ignore[arg-type]


def test_an_edit_by_another_tool(
    own_model: Path, classifier: Path, pipe: StableDiffusionPipeline, tmp_path: Path
) -> None:
    pipe.unet.conv_out.bias.data += 0.5
    pipe.save_pretrained(tmp_path / "edited")
    command = [
        "evaluate",
        str(own_model / "model"),
        "--edited",
        str(tmp_path / "edited"),
        "--out",
        str(tmp_path / "out"),
    ]
    command += ["--forgotten", "church", "--keep", "tench", "--images-per-concept", "1", *FEW]
    assert main([*command, "--classifier", str(classifier)]) == 0
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(result["tasks"]["objects"]["states"]) == ["untouched", "edited"]
    assert result["tasks"]["objects"]["states"]["edited"]["changed_percent"] > 0
    assert result["edit"]["edited"] == "edited"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give either --mask or --edited"),
        (["--mask", "MASK", "--edited", "x"], "Give either --mask or --edited"),
        (["--mask", "MASK", "--task", "styles", "--forgotten", "church"], "needs a forgotten concept of kind 'style'"),
        (
            ["--mask", "MASK", "--forgotten", "dragon"],
            "The embedded model does not know 'dragon'. Name one of these: parachute",
        ),
        (["--edited", "WEIGHTS"], "Say what the edited model should have forgotten"),
    ],
)
def test_what_cannot_be_measured_is_said(
    everything: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    paths = {"MASK": everything, "WEIGHTS": everything / "neurons.safetensors"}
    given = [str(paths.get(one, one)) for one in arguments]
    assert main(["evaluate", "testbed", "--out", str(tmp_path / "out"), *SMALL, *FEW, *given]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("task", "flag"), [("explicit", "--i2p"), ("quality", "--captions")])
def test_prompts_that_are_not_shipped_must_be_given(
    own_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, flag: str
) -> None:
    command = ["evaluate", str(own_model / "model"), "--mask", str(own_model / "mask"), "--out", str(tmp_path / "out")]
    assert main([*command, "--task", task]) == 2
    assert f"give their file with {flag}" in capsys.readouterr().err
