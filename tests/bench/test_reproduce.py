"""The paper's tasks on a tiny pipeline and on the embedded model, with stand-in judges and tiny counts."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tiny_pipelines import tiny_sd, tiny_sdxl
from tiny_transformers import tiny_flux, tiny_pixart
from transformers import ConvNextImageProcessorPil, ResNetConfig, ResNetForImageClassification

from fia import Settings
from fia.bench.edit_store import OURS
from fia.bench.reproduce import dry_run
from fia.bench.reproduce.methods import SOURCES, methods_for
from fia.bench.reproduce.protocols import PROTOCOLS, ZEROS
from fia.bench.reproduce.report import beside_the_paper, write_report
from fia.bench.reproduce.run import Plan, plan_protocol, run_plan
from fia.cli import main
from fia.drawing.images import Drawing
from fia.evaluation.build import Sources
from fia.evaluation.judges import NudeNetJudge
from fia.methods import ESD, FIA, UCE, ConceptPrune, NegativePrompt
from fia.provenance import hash_pipeline
from fia.testbed.pretrained import FOLDER

DRAWING = Drawing(num_inference_steps=2, batch_size=8)
QUICK: dict[str, Any] = {
    OURS: FIA(Settings(num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)),
    ZEROS: FIA(Settings(mode="paper", num_inference_steps=4, saliency_steps=1, prompts_per_concept=1)),
    "ConceptPrune": ConceptPrune(num_inference_steps=4, first_steps=1, prompts_per_concept=1),
    "UCE": UCE(),
    "ESD-x": ESD("x", iterations=1, num_inference_steps=3),
    "negative prompt": NegativePrompt(),
}
STATES = ["untouched", *QUICK, "random mask"]


class Means(torch.nn.Module):
    """Stands in for FID's network: the mean of each colour."""

    def forward(self, images: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return images.float().mean(dim=(2, 3)) if return_features else images.float()


class FakeNudeNet(NudeNetJudge):
    """Detects a bare part in every image that is lighter at the top."""

    def __init__(self) -> None:
        self.identity = {"name": "fake", "hash": None}

    def count(self, images: Sequence[Image.Image]) -> list[dict[str, int]]:
        rows = [np.asarray(image, dtype=float).mean(axis=(1, 2)) for image in images]
        return [{"FEET_EXPOSED": 1} if row[0] > row[-1] else {} for row in rows]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Stand-ins for all judges and prompts."""
    folder = tmp_path_factory.mktemp("judges")
    torch.manual_seed(0)
    names = [concept.name for concept in PROTOCOLS["imagenette10"].task.concepts]
    labels = {i: f"{name}, thing {i}" for i, name in enumerate(names)}
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=labels)
    ResNetForImageClassification(config).save_pretrained(folder / "classifier")
    ConvNextImageProcessorPil(size={"shortest_edge": 16}, crop_pct=1.0).save_pretrained(folder / "classifier")
    torch.jit.script(Means()).save(folder / "inception.pt")
    (folder / "captions.txt").write_text("a cat\na dog\na bus\n")
    (folder / "i2p.csv").write_text("prompt,sd_seed,sd_guidance_scale\na man,1,7\na woman,2,7.5\n")
    return Sources(
        images_per_concept=1,
        classifier=str(folder / "classifier"),
        clip=str(FOLDER / "clip"),
        i2p=folder / "i2p.csv",
        captions=folder / "captions.txt",
        inception=folder / "inception.pt",
    )


@pytest.fixture(autouse=True)
def quick_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.bench.reproduce.run.methods_for", lambda *_: QUICK)
    monkeypatch.setattr("fia.evaluation.build.NudeNetJudge", FakeNudeNet)


pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # the published network is in this form


@pytest.fixture(scope="module")
def done(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """A whole run of five of ten classes, and its folder."""
    out = tmp_path_factory.mktemp("five")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fia.bench.reproduce.run.methods_for", lambda *_: QUICK)
        patch.setattr("fia.finding.run.warn_of_unknown", lambda _: None)
        plan = plan_protocol(tiny_sd(), "imagenette5", sources, DRAWING)
        evaluation, result, costs = run_plan(plan, out)
        write_report(plan, evaluation, result, costs)
    return plan, out


def test_every_method_and_control_is_scored_on_the_same_images(done: tuple[Plan, Path]) -> None:
    result = json.loads((done[1] / "results.json").read_text())
    assert result["protocol"] == "imagenette5"
    assert list(result["tasks"]) == ["objects", "quality"]
    for task, number in (("objects", 10), ("quality", 3)):
        assert result["tasks"][task]["images"] == number
        assert list(result["tasks"][task]["states"]) == STATES
    for name, scores in result["tasks"]["objects"]["states"].items():
        assert scores["still_detected"]["number"] == scores["kept"]["number"] == 5, name
    captions = result["tasks"]["quality"]["states"]
    assert "frechet_from_untouched" not in captions["untouched"]
    assert all(captions[name]["frechet_from_untouched"] > 0 for name in (OURS, ZEROS, "UCE", "random mask"))
    changed = {name: scores["changed_percent"] for name, scores in captions.items()}
    assert changed["untouched"] == changed["negative prompt"] == 0
    assert changed["random mask"] == pytest.approx(changed[OURS], rel=0.01) != 0
    assert json.loads((done[1] / "costs.json").read_text())["edits"]["UCE"]["seconds"] > 0
    prompts = [question.request.prompt for question in done[0].tasks[0].questions]
    assert prompts[0] == "an image of a parachute"
    assert prompts[6] == "an image of an English springer"


def test_the_page_sets_the_result_beside_the_papers_table(done: tuple[Plan, Path]) -> None:
    plan, out = done
    rows = dict(beside_the_paper(plan.protocol, json.loads((out / "results.json").read_text())["tasks"], plan.states))
    assert [published for _, published in rows[ZEROS]] == ["2.1", "76.7", "86.0"]
    assert [published for _, published in rows[OURS]] == ["-"] * 3
    assert [measured for measured, _ in rows["MACE"]] == ["-"] * 3
    assert all(" to " in measured for measured, _ in rows["UCE"][:2])  # the interval
    page = (out / "report.html").read_text()
    assert "paper, Stable Diffusion 1.5" in page
    assert "measured here, StableDiffusionPipeline" in page
    assert page.count("data:image/png;base64,") == 2
    assert 'src="http' not in page


def test_an_interrupted_run_goes_on_and_gives_the_same_file(
    done: tuple[Plan, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = done
    shutil.copytree(out, tmp_path / "part")
    for gone in ("results.json", "report.html", "runs/objects/uce/result.json", "runs/objects/uce/00003.png"):
        (tmp_path / "part" / gone).unlink()
    shutil.rmtree(tmp_path / "part" / "runs" / "quality" / "esd-x")
    drawn: list[int] = []
    whole = StableDiffusionPipeline.__call__

    def counted(*args: Any, **own: Any) -> Any:
        drawn.append(len(own["prompt"]))
        return whole(*args, **own)

    monkeypatch.setattr(StableDiffusionPipeline, "__call__", counted)
    monkeypatch.setattr(UCE, "unlearn", lambda *_: pytest.fail("made again"))
    run_plan(plan, tmp_path / "part")
    assert drawn == [8, 3]  # the batch of the missing image, and the captions
    assert (tmp_path / "part" / "results.json").read_bytes() == (out / "results.json").read_bytes()


def test_results_of_other_settings_are_not_mixed(done: tuple[Plan, Path], sources: Sources) -> None:
    other = plan_protocol(tiny_sd(), "imagenette5", sources, Drawing(num_inference_steps=3, batch_size=8))
    with pytest.raises(ValueError, match="holds results made with other drawing"):
        run_plan(other, done[1])
    another = plan_protocol(tiny_sd(seed=1), "imagenette5", sources, DRAWING)
    with pytest.raises(ValueError, match="holds results made with other edit and other model"):
        run_plan(another, done[1])


def test_the_dry_run_counts_what_a_run_draws_and_writes_nothing(
    done: tuple[Plan, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = done[0]
    taken = dry_run.estimate(plan, processes=2)
    assert taken.images == {"objects": 10, "quality": 3}
    assert taken.passes_of_images == 13 * 2 * 2  # images, steps, and twice for guidance
    assert list(taken.passes_of_edits) == STATES
    assert taken.passes_of_edits["UCE"] == taken.passes_of_edits["untouched"] == 0
    assert taken.passes_of_edits["ConceptPrune"] == 5 * 2 * 2  # concepts, with and without them, and guidance
    assert taken.passes_of_edits["ESD-x"] == 2 + 5
    assert taken.passes_of_edits[ZEROS] == (5 + 1) * 2  # all concepts share the base prompt
    assert taken.passes_of_edits[OURS] == (5 + 1) * 2 + 5 * 3  # and the names to keep have three prompts each
    assert taken.seconds > 0
    assert taken.memory > 1e6
    text = taken.as_text()
    assert "for each state: 10 images of objects, 3 images of quality" in text
    assert "104" in text  # images in all states
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["styles5", "explicit"])
def test_styles_and_explicit_content(
    name: Any, sources: Sources, tmp_path: Path, pipe: StableDiffusionPipeline
) -> None:
    before = hash_pipeline(pipe)
    plan = plan_protocol(pipe, name, sources, DRAWING, quality=False, methods=["UCE"])
    evaluation, result, costs = run_plan(plan, tmp_path)
    write_report(plan, evaluation, result, costs)
    assert hash_pipeline(pipe) == before
    assert list(result["tasks"]) == [plan.protocol.measured]
    rows = dict(beside_the_paper(plan.protocol, result["tasks"], plan.states))
    if name == "styles5":
        assert rows["UCE"][1][0].startswith(("0.0 (", "20.0 (", "40.0 (", "60.0 (", "80.0 (", "100.0 ("))
        assert rows[ZEROS][0] == ("-", "27.45")
        assert plan.tasks[0].text == "{artist}"  # type: ignore[attr-defined]
    else:
        assert rows["untouched"][0][0] in ("0", "1", "2")
        assert rows["untouched"][0][1] == "743"
    assert rows[ZEROS][2] == ("-", str(plan.protocol.published[2].values[ZEROS]))  # not measured: no captions


def test_the_embedded_model_has_its_own_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--images-per-concept", "1", "--num-inference-steps", "2", "--no-quality", "--methods", "UCE"]
    words = ["bench", "testbed", "--out", str(tmp_path / "out"), *small, "--task"]
    assert main([*words, "imagenette10", "--dry-run"]) == 0
    assert "imagenette10 on testbed (cpu), for each state: 10 images of objects" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert main([*words, "imagenette10"]) == 0
    shown = capsys.readouterr()
    assert "paper, Stable Diffusion 1.5" in shown.out
    assert "Generating 20 images in 2 states, about" in shown.err
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert result["drawing"]["guidance_scale"] == 4
    assert result["tasks"]["objects"]["measured_with"][0]["name"] == "the test-bed's classifier"
    assert main([*words, "styles5"]) == 2
    assert "The embedded model does not know 'Van Gogh'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL", "--task", "imagenette10"], "Give COCO's captions with --captions and the network with --inception"),
        (["MODEL", "--task", "explicit", "--no-quality"], "give their file with --i2p"),
        (["MODEL", "--task", "explicit", "--no-quality", "--i2p", "no.csv"], "There is no file no.csv"),
        (
            ["MODEL", "--task", "imagenette5", "--no-quality", "--classifier", "./none"],
            "There is no classifier './none'",
        ),
        (["MODEL", "--task", "styles5", "--no-quality", "--clip", "./none"], "There is no CLIP './none'"),
        (["MODEL", "--task", "styles5", "--methods", "USE"], "There is no method 'USE'. Did you mean 'UCE'?"),
        (["MODEL"], "Give --task, the paper's task to run: imagenette10, imagenette5, styles5, explicit."),
        (["MODEL", "--task", "imagenette7"], "imagenette7"),
        (["MODEL", "--task", "styles5", "--quick"], "--quick: such flags go without a model"),
        (["--task", "styles5", "--dry-run"], "--task, --dry-run: such flags go with a model: fia bench MODEL"),
        (["./nowhere", "--task", "styles5"], "There is no folder or file './nowhere'"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_drawn(
    words: list[str], message: str, own_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(own_model) if word == "MODEL" else word for word in words]
    assert main(["bench", *given, "--out", str(tmp_path / "out")]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_sd().save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("any_types")
def test_missing_judges_are_named(
    sources: Sources, pipe: StableDiffusionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fia.evaluation.build.NudeNetJudge", NudeNetJudge)
    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(ValueError, match=r'NudeNet.*is not installed.*pip install "forget-it-all\[nudenet\]"'):
        plan_protocol(pipe, "explicit", sources, DRAWING)


def test_methods_that_cannot_edit_a_model_are_left_out_with_a_reason(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fia.bench.reproduce.run.methods_for", methods_for)
    closed = {"UCE", "RECE", "SPEED", "DP", "OCE", "ScaPre"}
    expected = (
        (tiny_sd(), set()),
        (tiny_sdxl(), {"ESD-x", "ESD-u"}),
        (tiny_pixart(), {"ESD-x", "ESD-u"} | closed),
        (tiny_flux(), {"ESD-x", "ESD-u", "negative prompt"} | closed),
    )
    for pipe, left_out in expected:
        plan = plan_protocol(pipe, "imagenette10", sources, DRAWING, quality=False)
        assert set(plan.left_out) == left_out, type(pipe).__name__
        assert all(plan.left_out.values())
        assert {*plan.methods, *plan.left_out} == SOURCES.keys()
    assert "UNet2DConditionModel" in plan.left_out["UCE"]
    with pytest.raises(TypeError, match="No method works on FluxPipeline"):
        plan_protocol(pipe, "imagenette10", sources, DRAWING, methods=["UCE"])


def test_the_papers_settings_are_its_own() -> None:
    """With mode="paper", the paper's concepts have the paper's ratios; without, none has."""
    for protocol in PROTOCOLS.values():
        assert {concept.spatial_ratio for concept in protocol.task.concepts} == {None}
    ours = methods_for(tiny_sd(), PROTOCOLS["imagenette10"].task.concepts)
    assert ours[ZEROS].settings.is_zero  # type: ignore[attr-defined]
    assert not ours[OURS].settings.is_zero  # type: ignore[attr-defined]
