"""On the trained model: what should be forgotten falls, the rest stays, and a random mask changes next to nothing."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import ResNetForImageClassification

from fia import NeuronMask, find, load_testbed
from fia.evaluation import generate_images
from fia.methods import random_mask
from fia.testbed import load_classifier
from fia.testbed.demo import DEMO_SETTINGS
from fia.testbed.judge import judge
from fia.testbed.pretrained import GUIDANCE_SCALE
from fia.testbed.scenes import IMAGENETTE, PLACE_NAMES

IMAGES = 8
STEPS = 20
FORGOTTEN, KEPT = IMAGENETTE[:5], IMAGENETTE[5:]


@dataclass
class Testbed:
    __test__ = False
    pipe: StableDiffusionPipeline
    classifier: ResNetForImageClassification
    mask: NeuronMask

    def draw(self) -> list[bytes]:
        """Returns the pixels of the first few images."""
        images = generate_images(self.pipe, PROMPTS[:4], range(4), num_inference_steps=4, progress=False)
        return [image.tobytes() for image in images]

    def accuracy(self) -> dict[str, float]:
        """Returns the share of images recognised, for the forgotten and the kept five, and of places."""
        images = generate_images(
            self.pipe,
            PROMPTS,
            range(7000, 7000 + len(PROMPTS)),
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE_SCALE,
            progress=False,
        )
        objects, places = judge(self.classifier, images)
        right = [a == b for a, b in zip(ASKED, objects, strict=True)]
        half = len(right) // 2
        return {
            "forgotten": sum(right[:half]) / half,
            "kept": sum(right[half:]) / half,
            "place": sum(a == b for a, b in zip(ASKED_PLACES, places, strict=True)) / len(places),
        }


ASKED = [name for name in IMAGENETTE for _ in range(IMAGES)]
ASKED_PLACES = [PLACE_NAMES[i % len(PLACE_NAMES)] for i in range(len(ASKED))]
PROMPTS = [f"a {thing} in a {place}" for thing, place in zip(ASKED, ASKED_PLACES, strict=True)]


@pytest.fixture(scope="module")
def testbed() -> Iterator[Testbed]:
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)  # this is the slow part
    pipe = load_testbed()
    yield Testbed(pipe, load_classifier(), find(pipe, FORGOTTEN, DEMO_SETTINGS, progress=False))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def untouched(testbed: Testbed) -> dict[str, float]:
    return testbed.accuracy()


def test_the_untouched_model_draws_the_ten_in_their_places(untouched: dict[str, float]) -> None:
    assert (untouched["forgotten"] + untouched["kept"]) / 2 >= 0.9
    assert untouched["place"] >= 0.9


def test_the_mask_forgets_more_of_the_five_than_of_the_others(testbed: Testbed, untouched: dict[str, float]) -> None:
    with testbed.mask.applied(testbed.pipe):
        masked = testbed.accuracy()
    lost = untouched["forgotten"] - masked["forgotten"]
    assert lost > untouched["kept"] - masked["kept"]
    with random_mask(testbed.mask).applied(testbed.pipe):
        control = testbed.accuracy()
    assert lost > untouched["forgotten"] - control["forgotten"]
    assert untouched["kept"] - control["kept"] <= 0.05  # two of forty images


def test_removing_the_mask_gives_bit_identical_images(testbed: Testbed) -> None:
    before = testbed.draw()
    testbed.mask.apply(testbed.pipe)
    assert testbed.draw() != before
    testbed.mask.remove(testbed.pipe)
    assert testbed.draw() == before


def test_any_text_can_be_drawn(testbed: Testbed) -> None:
    prompts = ["", "zyx qwv", "ein Haus ☕", "a church " * 40]
    images = generate_images(testbed.pipe, prompts, range(4), num_inference_steps=2, progress=False)
    assert [image.size for image in images] == [(64, 64)] * 4
