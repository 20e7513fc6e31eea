"""Hardening: what is found again with which prompts, resumption, and what is refused before anything is drawn."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from fia import Concept, FIAError, NeuronMask, Settings, find, harden, load_testbed
from fia.attacks.album import PICTURES
from fia.attacks.draw import draw_plain
from fia.attacks.find_again import check_recorded, find_again, further_pairs, with_words
from fia.attacks.interface import Case, FoundWords, Learned
from fia.attacks.inversion import Inversion
from fia.attacks.roots import Roots
from fia.attacks.run import Extent
from fia.attacks.targets import requests_for
from fia.attacks.tokens import encode, sequence, token_table, words_of
from fia.cli import main
from fia.drawing.images import Drawing, Request
from fia.methods.text_embeddings import embed
from fia.provenance import Identity, hash_pipeline

pytestmark = pytest.mark.slow

CHURCH = Concept("church")
SETTINGS = Settings(prompts_per_concept=2, num_inference_steps=4, saliency_steps=2, retained_words=0)
DRAWING = Drawing(2, 1.0, batch_size=1)
OPTIONS = {"attack": Inversion(2, batch_size=1, pictures=1), "extent": Extent(1, seed=1), "drawing": DRAWING}


class Known:
    """A judge that sees a church in black images, and in those that the untouched model draws."""

    def __init__(self, pipe: StableDiffusionPipeline) -> None:
        requests = requests_for(CHURCH, 1, 1) + requests_for(CHURCH, 1, 1 + PICTURES)
        self.images = {draw_plain(pipe, [request], DRAWING)[0].tobytes() for request in requests}

    @property
    def identity(self) -> Identity:
        return {"name": "known images", "hash": None}

    def answer(self, images: Sequence[Image.Image]) -> dict[str, list[str]]:
        is_church = [own.tobytes() in self.images or not np.asarray(own).any() for own in images]
        return {"subject": ["church" if own else "wall" for own in is_church]}


@pytest.fixture
def found(pipe: StableDiffusionPipeline) -> NeuronMask:
    return find(pipe, [CHURCH, "golf ball"], SETTINGS, progress=False).only("church")


def test_pairs_with_new_words() -> None:
    pairs = [("a Church on a beach", "a beach"), ("a chapel on a road", "a road"), ("a church", "a wall")]
    name, one, other = (FoundWords(torch.zeros(1, 2), replaces_name=own) for own in (True, False, False))
    assert further_pairs("church", pairs, [("<x>", name)]) == [("a <x> on a beach", "a beach"), ("a <x>", "a wall")]
    assert further_pairs("church", pairs, [("<y>", one), ("<z>", other)]) == [
        ("<y> a Church on a beach", "a beach"),
        ("<z> a chapel on a road", "a road"),
        ("<y> a church", "a wall"),
    ]
    assert further_pairs("church", pairs, []) == []


def test_a_word_that_is_another_ones_is_found_as_that_one() -> None:
    """A new word with the embedding of "duck" gives the mask that further prompts with "duck" give, bit for bit."""
    pipe = load_testbed()
    before = hash_pipeline(pipe)
    mask = find(pipe, [CHURCH, "cat"], SETTINGS, keep="horse", progress=False).with_strengths({"church": 0.5})
    pairs = [(own["concept_prompt"], own["base_prompt"]) for own in mask.provenance[0]["concepts"][0]["prompts"]]
    further = [(prompt.replace("church", "duck"), base) for prompt, base in pairs]
    duck = FoundWords(token_table(pipe)[words_of(pipe, "duck")], replaces_name=True)
    again = find_again(pipe, mask, {"church": [duck]}, "a test")
    expected = find(pipe, Concept("church", prompts=(*pairs, *further)), SETTINGS, progress=False)
    assert all(torch.equal(again.neurons["church"][layer], expected.neurons["church"][layer]) for layer in mask.shapes)
    assert all(torch.equal(again.neurons["cat"][layer], mask.neurons["cat"][layer]) for layer in mask.shapes)
    for layer in mask.shapes:
        own, same = again.rewriting.responses["church"][layer], expected.rewriting.responses["church"][layer]
        assert torch.equal(own.left, same.left)
    assert again.strengths == {"church": 0.5}
    assert again.rewriting.kept_names == ["horse"]
    assert [record["keep"] for record in again.provenance] == [[{"name": "horse", "kind": "object"}]] * 2
    assert again.provenance[-1]["settings"] == mask.provenance[0]["settings"]
    assert again.provenance[-1]["attack"] == "a test"
    assert hash_pipeline(pipe) == before
    assert "<found-0-0>" not in pipe.tokenizer.get_vocab()
    again.check(pipe)


def test_words_are_read_as_the_attack_reads_them(pipe: StableDiffusionPipeline) -> None:
    """Two tokens as new words give the embedding of the prompt with these tokens."""
    reading, (text,) = with_words(pipe, [FoundWords(token_table(pipe)[[5, 9]], replaces_name=False)])
    expected, _ = encode(pipe, sequence(pipe, [5, 9, *words_of(pipe, "a church")])[None])
    assert torch.equal(embed(reading, [f"{text} a church"]), expected)
    assert reading.unet is pipe.unet


def test_it_finds_again_until_the_attack_gains_nothing(
    pipe: StableDiffusionPipeline, found: NeuronMask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack succeeds once. The mask of the second round is returned, and a second call does nothing again."""
    learned, draw = [], Inversion.draw

    def counted(_: Inversion, case: Case, variant: str) -> Learned:
        learned.append(variant)
        return {"word": token_table(case.victim)[7].clone()}

    def first_black(
        self: Inversion, case: Case, requests: Sequence[Request], own: Learned, variant: str
    ) -> list[Image.Image]:
        return [Image.new("RGB", (8, 8))] if len(learned) == 1 else draw(self, case, requests, own, variant)

    monkeypatch.setattr(Inversion, "learn", counted)
    monkeypatch.setattr(Inversion, "draw", first_black)
    before, judge = hash_pipeline(pipe), Known(pipe)
    mask, rounds = harden(pipe, found, out=tmp_path, judge=judge, **OPTIONS)
    assert hash_pipeline(pipe) == before
    assert [own["came_back"] for own in rounds] == [["church"], []]
    assert [(own["before"]["right"], own["after"]["right"]) for own in rounds] == [(0, 1), (0, 0)]
    assert mask.concepts == ("church",)
    assert mask.fingerprint == rounds[1]["mask"]["fingerprint"] != found.fingerprint
    prompts = [own["concept_prompt"] for own in mask.provenance[0]["concepts"][0]["prompts"]]
    assert prompts[2:] == [prompt.replace("church", "<found-0-0>") for prompt in prompts[:2]]
    again = harden(pipe, found, out=tmp_path, judge=judge, **OPTIONS)
    assert (again.mask.fingerprint, again.rounds, len(learned)) == (mask.fingerprint, rounds, 2)
    written = json.loads((tmp_path / "harden.json").read_text())
    assert (written["rounds"], written["returned"]) == (rounds, 1)


def test_an_attack_that_gains_nothing_ends_it(pipe: StableDiffusionPipeline, found: NeuronMask, tmp_path: Path) -> None:
    mask, rounds = harden(pipe, found, out=tmp_path, judge=Known(pipe), **OPTIONS)
    assert mask is found
    assert len(rounds) == 1
    assert not list(tmp_path.rglob("masks"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 0}, "rounds=0; it must be at least 1"),
        ({"attack": Roots()}, "'Roots Beneath the Cut' finds no words"),
        ({"attack": "white"}, "'white' finds no words"),
        ({"attack": "telepathy"}, "There is no attack 'telepathy'"),
    ],
)
def test_wrong_use(
    pipe: StableDiffusionPipeline, found: NeuronMask, tmp_path: Path, change: dict, message: str
) -> None:
    with pytest.raises(FIAError, match=message):
        harden(pipe, found, out=tmp_path, judge=Known(pipe), **(OPTIONS | change))
    assert not list(tmp_path.rglob("*.png"))


def test_masks_that_cannot_be_found_again(pipe: StableDiffusionPipeline, mask: NeuronMask, tmp_path: Path) -> None:
    with pytest.raises(FIAError, match="does not say with which prompts 'church' was found"):
        harden(pipe, mask, out=tmp_path, judge=Known(pipe), **OPTIONS)
    own = find(pipe, Concept("church", prompts=(("a chapel", "a wall"),)), SETTINGS, progress=False)
    check_recorded(own, named=False)
    with pytest.raises(FIAError, match="None of the prompts that found 'church' holds this name"):
        harden(pipe, own, out=tmp_path, judge=Known(pipe), **OPTIONS)


def test_the_embedded_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mask of another model and an unknown concept are refused; a small budget runs from end to end."""
    pipe = load_testbed()
    find(pipe, CHURCH, SETTINGS, progress=False).save_pretrained(tmp_path / "church")
    command = ["harden", "testbed", "--mask", str(tmp_path / "church"), "--out", str(tmp_path / "hard")]
    few = ["--images-per-concept", "1", "--num-inference-steps", "4", "--rounds", "1", "--attack", "unlearn-diff-atk"]
    few += ["--unlearn-diff-atk.timesteps", "1", "--unlearn-diff-atk.iterations", "1"]
    assert main([*command, *few, "--rounds", "0"]) == 2
    assert main([*command, *few]) == 0
    assert "round 0" in capsys.readouterr().out
    assert NeuronMask.from_pretrained(tmp_path / "hard").concepts == ("church",)
    assert (tmp_path / "hard-attacks" / "harden.json").exists()
    assert main([*command, *few]) == 2
    assert "holds a mask already" in capsys.readouterr().err


def test_a_mask_of_another_model_is_refused(pipe: StableDiffusionPipeline, found: NeuronMask, tmp_path: Path) -> None:
    with pytest.raises(FIAError, match="other"):
        harden(load_testbed(), found, out=tmp_path, **OPTIONS)
    dragon = find(pipe, "dragon", SETTINGS, progress=False)
    with pytest.raises(FIAError, match=r"known images sees 'dragon' in 0 of 1 images"):
        harden(pipe, dragon, out=tmp_path, judge=Known(pipe), **OPTIONS)
