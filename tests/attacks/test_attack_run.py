"""Runs of attacks: what is measured, resumption, the report, and what is refused before anything is drawn."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image
from tiny_pipelines import tiny_sd

from fia import Concept, FIAError, NeuronMask, attack
from fia.attacks.choice import Attacks
from fia.attacks.completion import Completion
from fia.attacks.identity import identify
from fia.attacks.interface import Attack, Case, Learned
from fia.attacks.inversion import Inversion
from fia.attacks.merge import Merge
from fia.attacks.records import AttackResult
from fia.attacks.relearning import Benign
from fia.attacks.run import Extent
from fia.attacks.victim import edited_copy, random_edit
from fia.cli import main
from fia.drawing.images import Drawing, Request
from fia.edits.edited import EditedPipeline, load_edited
from fia.edits.weight_edit import WeightEdit
from fia.methods import NegativePrompt
from fia.provenance import Identity, hash_pipeline

pytestmark = pytest.mark.slow

FEW = {"extent": Extent(2, seed=1), "drawing": Drawing(2, 1.0, batch_size=1)}
CHOSEN: tuple[Attack, ...] = (Merge((0.5,)), Completion((1,)), Inversion(2, batch_size=1, pictures=2), Benign((1,), 2))
TWO = CHOSEN[1:3]


class Brightness:
    """A judge that sees a church in every image that is darker than a level."""

    def __init__(self, level: float = 300.0) -> None:
        self.level = level
        self.judged = 0

    @property
    def identity(self) -> Identity:
        return {"name": "brightness", "hash": str(self.level)}

    def answer(self, images: Sequence[Image.Image]) -> dict[str, list[str]]:
        self.judged += len(images)
        return {"subject": ["church" if np.asarray(image).mean() < self.level else "wall" for image in images]}


@pytest.fixture
def edit(pipe: StableDiffusionPipeline) -> WeightEdit:
    """New values for one layer."""
    name = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight"
    return WeightEdit({name: torch.zeros_like(pipe.unet.get_parameter(name))})


def without_seconds(result: AttackResult) -> str:
    """Returns a result as text, without the times."""
    for scores in result["attacks"]:
        for state in scores["states"].values():
            state["seconds"] = 0.0
    return json.dumps(result)


def test_every_attack_on_every_state(pipe: StableDiffusionPipeline, edit: WeightEdit, tmp_path: Path) -> None:
    before = hash_pipeline(pipe)
    one = {**FEW, "extent": Extent(1)}
    result = attack(pipe, edit, "church", CHOSEN, out=tmp_path, judge=Brightness(), never_knew=edit, **one)
    assert hash_pipeline(pipe) == before
    assert [(own["attack"], own["variant"]) for own in result["attacks"]] == [
        ("merged with the original", "w = 0.5"),
        ("completion", "after 1 steps"),
        ("concept inversion", ""),
        ("benign fine-tuning", "1 steps"),
    ]
    for own in result["attacks"]:
        assert list(own["states"]) == ["untouched", "edited", "random edit", "never knew"]
        for state in own["states"].values():
            assert state["before"] == state["after"]
            assert state["after"]["number"] == 1
            assert state["after"]["interval"] == [20.65, 100.0]  # Wilson's, of 1 of 1
    assert json.loads(json.dumps(result)) == json.loads((tmp_path / "attack.json").read_text())
    page = (tmp_path / "attack.html").read_text()
    assert page.count("data:image/png;base64,") == len(CHOSEN)
    assert "Concept inversion" in page
    assert "random edit <span" in page
    assert 'src="http' not in page
    kept = {file.relative_to(tmp_path / "runs").parts[0] for file in tmp_path.rglob("learned.safetensors")}
    assert kept == {"concept-inversion"}  # the word that it found
    assert not list(tmp_path.rglob("*.partial"))


class Interrupted(Exception):  # noqa: N818 (like KeyboardInterrupt)
    """Stands for a process that is killed."""


def test_an_interrupted_attack_goes_on(
    pipe: StableDiffusionPipeline, edit: WeightEdit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the middle of an attack, it learns and draws nothing twice, and has the same result."""
    learned, drawn = [], []
    learn, draw = Inversion.learn, Inversion.draw

    def count_learn(self: Inversion, case: Case, variant: str) -> Learned:
        learned.append(case)
        return learn(self, case, variant)

    def count_draw(
        self: Inversion, case: Case, requests: Sequence[Request], own: Learned, variant: str
    ) -> list[Image.Image]:
        drawn.append(requests)
        if len(drawn) == 4:  # the second image of the edited model
            raise Interrupted
        return draw(self, case, requests, own, variant)

    monkeypatch.setattr(Inversion, "learn", count_learn)
    monkeypatch.setattr(Inversion, "draw", count_draw)
    options = {"out": tmp_path / "one", "judge": Brightness(), "control": False, **FEW}
    with pytest.raises(Interrupted):
        attack(pipe, edit, "church", TWO, **options)
    assert not (tmp_path / "one" / "attack.json").exists()
    assert len(list((tmp_path / "one").rglob("learned.safetensors"))) == 2  # each model has its word
    first = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    result = attack(pipe, edit, "church", TWO, **options)
    assert (len(learned), len(drawn)) == (2, 5)
    assert all(file.stat().st_mtime_ns == time for file, time in first.items())
    whole = attack(pipe, edit, "church", TWO, **{**options, "out": tmp_path / "two"})
    assert without_seconds(result) == without_seconds(whole)
    for file in (tmp_path / "two").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "one" / file.relative_to(tmp_path / "two")).read_bytes()


def test_results_of_another_edit_or_budget_are_not_mixed_in(
    pipe: StableDiffusionPipeline, edit: WeightEdit, tmp_path: Path
) -> None:
    options = {"out": tmp_path, "judge": Brightness(), "control": False, **FEW}
    attack(pipe, edit, "church", [Merge((0.5,))], **options)
    other = WeightEdit({name: weight + 1 for name, weight in edit.weights.items()})
    with pytest.raises(FIAError, match="holds results made with other edit"):
        attack(pipe, other, "church", [Merge((0.5,))], **options)
    with pytest.raises(FIAError, match="holds results made with other judge"):
        attack(pipe, edit, "church", [Merge((0.5,))], **{**options, "judge": Brightness(299)})


def test_a_model_that_never_drew_it_is_refused(pipe: StableDiffusionPipeline, edit: WeightEdit, tmp_path: Path) -> None:
    with pytest.raises(FIAError, match=r"brightness sees 'church' in 0 of 2 images of the untouched model \(0 %\)"):
        attack(pipe, edit, "church", CHOSEN, out=tmp_path, judge=Brightness(0), **FEW)
    drawn = {file.relative_to(tmp_path / "runs").parts[0] for file in tmp_path.rglob("*.png")}
    assert drawn == {"before"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": []}, "No attack was given"),
        ({"attacks": ["ring"]}, "There is no attack 'ring'; give one of: free, text, white, weights, all, noise"),
        ({"concepts": []}, "Say what the edited model should have forgotten"),
        ({"attacks": [Completion((2,))]}, "an image has 2 steps; leave some for the edited model"),
    ],
)
def test_what_cannot_be_attacked_is_said_before_anything_is_drawn(
    pipe: StableDiffusionPipeline, edit: WeightEdit, tmp_path: Path, change: dict, message: str
) -> None:
    arguments = {"concepts": "church", "attacks": CHOSEN} | change
    with pytest.raises(FIAError, match=message):
        attack(pipe, edit, out=tmp_path, judge=Brightness(), **arguments, **FEW)
    assert not list(tmp_path.rglob("*.png"))


def test_a_mask_that_is_applied_already_is_refused(
    pipe: StableDiffusionPipeline, mask: NeuronMask, tmp_path: Path
) -> None:
    mask.apply(pipe)
    with pytest.raises(FIAError, match="no untouched model to compare with"):
        attack(pipe, mask, out=tmp_path, judge=Brightness())


def test_another_architecture_is_refused(
    pipe: StableDiffusionPipeline, xl_pipe: StableDiffusionXLPipeline, tmp_path: Path
) -> None:
    tiny_sd(width=24).save_pretrained(tmp_path / "wide")
    options = {"out": tmp_path / "out", "judge": Brightness(), **FEW}
    with pytest.raises(FIAError, match="The edit is for another model"):
        attack(pipe, load_edited(tmp_path / "wide"), "church", CHOSEN, **options)
    with pytest.raises(FIAError, match=r"Attacks know Stable Diffusion 1\.x and 2\.x"):
        attack(xl_pipe, load_edited(tmp_path / "wide"), "church", CHOSEN, **options)
    with pytest.raises(FIAError, match="A NegativePromptEdit changes no weight"):
        attack(pipe, NegativePrompt().unlearn(pipe, [Concept("church")], []), "church", CHOSEN, **options)
    pipe.unet.half()
    with pytest.raises(FIAError, match=r"torch.float16 is too coarse"):
        attack(pipe, WeightEdit({"conv_out.bias": torch.ones(4)}), "church", [Inversion()], **options)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--concepts", "church"], "Give one of --mask, --edited and --method"),
        (["--method", "UCE"], "Say what the edited model should have forgotten"),
        (["--method", "uce", "--concepts", "church"], "There is no method 'uce'; give one of: FIA rewritten, FIA"),
        (["--method", "UCE", "--concepts", "dragon"], "The embedded model does not know 'dragon'"),
        (["--method", "UCE", "--concepts", "Lumenza"], "is a concept of kind 'style' here: give \"Lumenza:style\""),
        (["--method", "UCE", "--concepts", "church", "--attacks", "telepathy"], "There is no attack 'telepathy'"),
        (["--method", "UCE", "--concepts", "church", "--budgets.noise.tries", "0"], "tries=0; it must be at least 1."),
        (["--method", "UCE", "--concepts", "church", "--images-per-concept", "0"], "images_per_concept=0"),
        (["--method", "UCE", "--concepts", "church", "--budgets.relearn.steps", "0"], "give numbers of steps"),
        (["--edited", "nowhere", "--concepts", "church"], "There is no edited model nowhere"),
    ],
)
def test_wrong_use_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["attack", "testbed", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())  # nothing was drawn, and no method ran


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["attack", "testbed", "--method", "UCE", "--concepts", "church", "--attacks", "quantise", "--no-control"]
    few = ["--images-per-concept", "1", "--num-inference-steps", "4", "--budgets.quantise.bits", "8"]
    assert main([*command, *few, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "quantised, int8" in printed
    assert "before any attack" in printed
    result = json.loads((tmp_path / "attack.json").read_text())
    assert result["drawing"]["guidance_scale"] == 4.0
    assert result["attacks"][0]["budget"] == {"bits": [8]}
    assert (tmp_path / "edits" / "uce" / "weights.safetensors").exists()


def test_names_and_groups_choose_attacks() -> None:
    def titles(*names: str) -> list[str]:
        return [own.title for own in Attacks().chosen(names)]

    assert len(titles("all")) == 16
    assert titles("text") == ["Ring-A-Bell", "MMA-Diffusion, text"]
    assert titles("roots", "free", "merge")[-1] == "Roots Beneath the Cut"
    assert titles("ring_a_bell", "ring-a-bell") == ["Ring-A-Bell"]
    groups = [titles(group) for group in ("free", "text", "white", "weights")]
    assert [title for group in groups for title in group] == titles("all")


def test_a_copy_of_a_mask_and_of_a_folder(pipe: StableDiffusionPipeline, mask: NeuronMask, tmp_path: Path) -> None:
    """The copy has the edit in its weights, and draws what the edited pipeline draws."""
    before = hash_pipeline(pipe)
    with mask.applied(pipe):
        pipe.save_pretrained(tmp_path / "edited")
        edited = hash_pipeline(pipe)
    assert hash_pipeline(edited_copy(pipe, mask)) == edited
    folder = EditedPipeline(tmp_path / "edited")
    assert hash_pipeline(edited_copy(pipe, folder)) == edited
    assert hash_pipeline(pipe) == before
    control = random_edit(pipe, folder)
    assert isinstance(control, WeightEdit)
    assert sum(int((own == 0).sum()) for own in control.weights.values()) < mask.number_pruned
    assert identify(folder).keys() == {"edited", "hash"}
    assert identify(mask)["mask"] == list(mask.concepts)


def test_the_budgets_are_the_papers() -> None:
    budgets = Attacks()
    assert (budgets.noise.tries, budgets.completion.steps) == (24, (5, 10))
    assert (budgets.ring_a_bell.tokens, budgets.ring_a_bell.population, budgets.ring_a_bell.generations) == (
        16,
        200,
        3000,
    )
    assert (budgets.mma.tokens, budgets.mma.candidates, budgets.mma.batch, budgets.mma.steps) == (20, 256, 512, 1000)
    attack_of_tokens = budgets.unlearn_diff_atk
    assert (attack_of_tokens.tokens, attack_of_tokens.timesteps, attack_of_tokens.iterations) == (3, 50, 40)
    assert (budgets.p4d.tokens, budgets.p4d.iterations, budgets.p4d.learning_rate) == (16, 3000, 0.1)
    assert (budgets.inversion.steps, budgets.inversion.learning_rate, budgets.inversion.pictures) == (3000, 5e-3, 25)
    assert (budgets.roots.rounds, budgets.roots.signed) == (500, 0.6)
    with pytest.raises(FIAError, match="rounds=0"):
        replace(budgets.roots, rounds=0)
