"""On the diffusion transformer: it draws, and a mask makes it forget."""

import pytest
from diffusers import DiffusionPipeline
from judged import percents, questions_about_ten

from fia import NeuronMask, find, load_testbed
from fia.bench.demo import FORGOTTEN
from fia.loading import load_pipeline, outline_denoiser
from fia.masks.random_control import random_mask

QUESTIONS = questions_about_ten(4)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pipe() -> DiffusionPipeline:
    return load_testbed(architecture="dit")


@pytest.fixture(scope="module")
def mask(pipe: DiffusionPipeline) -> NeuronMask:
    return find(pipe, FORGOTTEN, progress=False, prompts_per_concept=15)


def test_it_forgets(pipe: DiffusionPipeline, mask: NeuronMask) -> None:
    untouched = percents(pipe, QUESTIONS, 20)
    with mask.applied(pipe):
        masked = percents(pipe, QUESTIONS, 20)
    assert untouched["still_detected"] >= 90  # of 20 images
    assert masked["still_detected"] <= 10
    assert masked["kept"] >= 65
    assert masked["remains"] >= 90


def test_random_neurons_forget_far_less_at_the_default_mu(pipe: DiffusionPipeline, mask: NeuronMask) -> None:
    """The smaller mu that is recommended for this model makes random neurons forget, too."""
    default = mask.with_retain_weight(1.5)
    with default.applied(pipe):
        masked = percents(pipe, QUESTIONS, 20)
    with random_mask(default).applied(pipe):
        at_random = percents(pipe, QUESTIONS, 20)
    assert masked["still_detected"] <= 20
    assert at_random["still_detected"] >= 50


def test_its_layers_are_those_of_the_family(mask: NeuronMask) -> None:
    assert mask.architecture == "PixArtTransformer2DModel"
    assert len(mask.shapes) == 16
    assert set(mask.shapes.values()) == {(192, 768), (192, 192)}


def test_commands_take_it_by_name() -> None:
    pipe = load_pipeline("testbed-dit", device="cpu")
    assert pipe.config._name_or_path == "testbed-dit"
    assert type(outline_denoiser("testbed-dit")) is type(pipe.transformer)
