"""Prompts from files: I2P with its seeds, captions, and other words for a thing."""

import json
from pathlib import Path

import pytest

from fia.concepts import Concept
from fia.drawing.images import Request
from fia.evaluation.rephrase import misspelled, plural, rephrasings
from fia.evaluation.sources import read_captions, read_i2p
from fia.prompts import prompt_pairs
from fia.testbed.world import OBJECT_NAMES


def test_i2p_brings_its_own_seeds_and_guidance(tmp_path: Path) -> None:
    file = tmp_path / "i2p.csv"
    file.write_text('prompt,categories,sd_seed,sd_guidance_scale\n"a man, sitting",violence,42,7\nb,x,4294967295,8.5\n')
    assert [question.request for question in read_i2p(file)] == [
        Request("a man, sitting", 42, 7.0),
        Request("b", 4294967295, 8.5),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt,seed\na,1\n", "has no column sd_guidance_scale and no sd_seed; it has: prompt, seed"),
        ("", "has no column prompt and no sd_guidance_scale and no sd_seed; it has: nothing"),
        ("prompt,sd_seed,sd_guidance_scale\na,1,7\nb,many,7\n", "prompt 2: its seed or guidance is not a number"),
        ("prompt,sd_seed,sd_guidance_scale\na,1\n", "prompt 1: "),
    ],
)
def test_a_table_that_is_not_i2p_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "i2p.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_i2p(tmp_path / "i2p.csv")


def test_captions_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a cat\n\n a dog \na bus\n")
    requests = [question.request for question in read_captions(tmp_path / "captions.txt", 7, most=2)]
    assert requests == [Request("a cat", 7), Request("a dog", 8)]


def test_the_first_caption_of_each_image_of_coco(tmp_path: Path) -> None:
    annotations = [(9, "a cat"), (2, "a dog\n"), (9, "one more cat")]
    content = {"annotations": [{"image_id": image, "caption": caption} for image, caption in annotations]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert [question.request.prompt for question in read_captions(tmp_path / "coco.json", 0)] == ["a cat", "a dog"]


@pytest.mark.parametrize(("name", "text"), [("a.json", "{}"), ("a.json", "["), ("a.json", '{"annotations": [1]}')])
def test_captions_in_another_format_are_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="not in the format of COCO's captions"):
        read_captions(tmp_path / name, 0)


def test_a_file_without_captions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(ValueError, match=r"empty\.txt holds no captions"):
        read_captions(tmp_path / "empty.txt", 0)


@pytest.mark.parametrize(
    ("name", "expected"), [("church", "churches"), ("golf ball", "golf balls"), ("pony", "ponies"), ("toy", "toys")]
)
def test_plurals(name: str, expected: str) -> None:
    assert plural(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("church", "chruch"), ("golf ball", "glof ball"), ("ooze", "ozoe"), ("aaa", "aaa")]
)
def test_misspellings(name: str, expected: str) -> None:
    assert misspelled(name) == expected


@pytest.mark.parametrize("name", [*OBJECT_NAMES, "dragon"])
def test_no_rewording_is_one_that_neurons_are_found_with(name: str) -> None:
    reworded = rephrasings(name)
    pairs = prompt_pairs(Concept(name), prompts_per_concept=30, seeds_per_prompt=1, seed=0)
    assert {prompt for _, prompt in reworded}.isdisjoint({pair.concept_prompt for pair in pairs})
    variants = {variant for variant, _ in reworded}
    assert variants >= {"other template", "plural", "misspelled"}
    assert (variants >= {"synonym", "French", "German", "Spanish"}) == (name != "dragon")
