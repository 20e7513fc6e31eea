"""What every method promises: its edit changes pictures within a `with` block, and leaves no trace after it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from tiny_transformers import tiny_pixart
from warned import warned

from fia import Concept, Settings
from fia.drawing.images import generate_images
from fia.edits.interface import NoEdit
from fia.edits.weight_edit import WeightEdit
from fia.methods import ESD, FIA, RECE, UCE, ConceptPrune, Method, NegativePrompt
from fia.methods.negative_prompt import NegativePromptEdit

FAST = {"num_inference_steps": 4, "prompts_per_concept": 2}
METHODS: list[Method] = [
    FIA(Settings(**FAST, saliency_steps=2)),
    ConceptPrune(**FAST, first_steps=2),
    UCE(),
    RECE(),
    ESD("x", iterations=2, num_inference_steps=3, learning_rate=1e-3),
    ESD("u", iterations=2, num_inference_steps=3),
    NegativePrompt(),
]


def draw(pipe: StableDiffusionPipeline, **arguments: str | list[str]) -> np.ndarray:
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    prompts = ["a church", "a cat"]
    return pipe(prompts, num_inference_steps=2, generator=generators, output_type="np", **arguments).images


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_an_edit_comes_and_goes(pipe: StableDiffusionPipeline, method: Method) -> None:
    before = draw(pipe)
    edit = method.unlearn(pipe, [Concept("church"), Concept("golf ball")], ["cat"])
    assert np.array_equal(draw(pipe), before)  # making it changes nothing
    attributes = set(vars(pipe)) | set(vars(pipe.unet))
    edit.check(pipe)
    assert set(vars(pipe)) | set(vars(pipe.unet)) == attributes
    changed = edit.changed_percent(pipe)
    assert changed == 0 if method == NegativePrompt() else 0 < changed < 100

    def interrupted() -> None:
        with edit.applied(pipe):
            assert not np.array_equal(draw(pipe), before)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert np.array_equal(draw(pipe), before)
    assert set(vars(pipe)) | set(vars(pipe.unet)) == attributes


def test_a_negative_prompt_is_the_one_that_diffusers_takes(pipe: StableDiffusionPipeline) -> None:
    edit = NegativePrompt().unlearn(pipe, [Concept("church"), Concept("golf ball")], [])
    expected = draw(pipe, negative_prompt=["church, golf ball"] * 2)
    own = draw(pipe, negative_prompt=["a dog"] * 2)
    with edit.applied(pipe):
        assert np.array_equal(draw(pipe), expected)
        assert np.array_equal(draw(pipe, negative_prompt=["a dog"] * 2), own)  # one that is given stays
        single = pipe("a church", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="np")
    # Another batch size may round the last bits otherwise.
    np.testing.assert_allclose(single.images[0], expected[0], atol=1e-4)


def test_a_negative_prompt_replaces_the_empty_one_that_some_pipelines_give() -> None:
    pipe = tiny_pixart()
    plain = generate_images(pipe, ["a church"], [0], num_inference_steps=2, progress=False)
    with NegativePrompt().unlearn(pipe, [Concept("church")], []).applied(pipe):
        guided = generate_images(pipe, ["a church"], [0], num_inference_steps=2, progress=False)
    assert plain[0].tobytes() != guided[0].tobytes()


def test_a_negative_prompt_that_is_too_long_says_so(pipe: StableDiffusionPipeline) -> None:
    with warned("has 62 tokens, but the text encoder reads only the first 48"):
        NegativePrompt().unlearn(pipe, [Concept("x" * 30), Concept("y" * 29)], [])


def test_an_edit_of_another_model_is_refused_and_changes_nothing(pipe: StableDiffusionPipeline) -> None:
    name = "conv_in.bias"
    before = pipe.unet.conv_in.bias.detach().clone()
    for weights in ({name: torch.ones(len(before)), "nowhere.weight": torch.ones(1)}, {name: torch.ones(3)}):
        with pytest.raises(ValueError, match=r"The edit is for another model: .*"), WeightEdit(weights).applied(pipe):
            pass
        assert torch.equal(pipe.unet.conv_in.bias, before)


def test_the_share_changed_counts_values_that_differ(pipe: StableDiffusionPipeline) -> None:
    bias = pipe.unet.conv_in.bias.detach().clone()
    assert WeightEdit({"conv_in.bias": bias}).changed_percent(pipe) == 0
    bias[:3] += 1
    every = sum(parameter.numel() for parameter in pipe.unet.parameters())
    assert WeightEdit({"conv_in.bias": bias}).changed_percent(pipe) == 100 * 3 / every
    assert NoEdit().changed_percent(pipe) == 0


@pytest.mark.usefixtures("any_types")
def test_a_pipeline_without_negative_prompts_is_refused() -> None:
    with pytest.raises(TypeError, match="SimpleNamespace takes no negative prompt"):
        NegativePromptEdit("a church").check(SimpleNamespace(encode_prompt=lambda prompt: prompt))


def test_a_weight_edit_keeps_the_models_type_and_comes_back_to_the_bit(pipe: StableDiffusionPipeline) -> None:
    pipe.unet.half()
    before = pipe.unet.conv_in.bias.detach().clone()
    with WeightEdit({"conv_in.bias": torch.full((len(before),), 0.1)}).applied(pipe):
        assert pipe.unet.conv_in.bias.dtype == torch.float16
        assert torch.equal(pipe.unet.conv_in.bias, torch.full((len(before),), 0.1).half())
    assert torch.equal(pipe.unet.conv_in.bias, before)
