"""ESD: its target worked by hand, which weights it trains, and that it comes nearer to the target."""

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from tiny_pipelines import tiny_sd

from fia import Concept
from fia.methods import ESD
from fia.methods.esd import erased_target, predict
from fia.methods.text_embeddings import embed
from fia.models.layers import cross_attentions

pytestmark = pytest.mark.slow

FEW = {"iterations": 2, "batch_size": 2, "num_inference_steps": 3}


def test_worked_example_of_the_target() -> None:
    # From 1 the concept leads to 4, three ahead; with eta = 2 the target is six back.
    assert erased_target(torch.tensor(1.0), torch.tensor(4.0), negative_guidance=2) == -5


@pytest.mark.parametrize("variant", ["x", "u"])
def test_each_variant_trains_its_own_weights(pipe: StableDiffusionPipeline, variant: str) -> None:
    edit = ESD(variant, **FEW).unlearn(pipe, [Concept("church"), Concept("cat")], [])
    prefixes = tuple(f"{name}." for name in cross_attentions(pipe.unet))
    names = [name for name, _ in pipe.unet.named_parameters()]
    assert list(edit.weights) == [name for name in names if name.startswith(prefixes) == (variant == "x")]
    original = pipe.unet.state_dict()
    assert any(not torch.equal(weight, original[name]) for name, weight in edit.weights.items())


def test_the_edited_model_is_nearer_to_the_target(pipe: StableDiffusionPipeline) -> None:
    method = ESD("u", iterations=30, batch_size=4, learning_rate=1e-3, num_inference_steps=3)
    edit = method.unlearn(pipe, [Concept("church")], [])
    latents = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    nothing, text = (embed(pipe, [prompt]).expand(8, -1, -1) for prompt in ("", "church"))
    with torch.no_grad():
        unconditional, before = predict(pipe.unet, latents, torch.tensor(500), nothing, text)
        target = erased_target(unconditional, before, method.negative_guidance)
        with edit.applied(pipe):
            _, after = predict(pipe.unet, latents, torch.tensor(500), nothing, text)
    assert (after - target).norm() < 0.9 * (before - target).norm()


def test_the_pipeline_is_left_as_it_is(pipe: StableDiffusionPipeline) -> None:
    before = {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    ESD(**FEW).unlearn(pipe, [Concept("church")], [])
    assert all(torch.equal(value, before[name]) for name, value in pipe.unet.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in pipe.unet.parameters())


def test_the_seed_decides(pipe: StableDiffusionPipeline) -> None:
    one, again, other = (ESD(**FEW, seed=seed).unlearn(pipe, [Concept("church")], []).weights for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("any_types")
def test_what_it_cannot_do_is_refused(xl_pipe: StableDiffusionXLPipeline) -> None:
    with pytest.raises(TypeError, match="that of a StableDiffusionXLPipeline takes more"):
        ESD(**FEW).unlearn(xl_pipe, [Concept("church")], [])
    pipe = tiny_sd()
    pipe.unet.half()
    with pytest.raises(TypeError, match=r"torch\.float16 is too coarse for that; load the model in float32"):
        ESD(**FEW).unlearn(pipe, [Concept("church")], [])
    with pytest.raises(ValueError, match="use a smaller learning_rate than 1e"):
        ESD(**FEW, learning_rate=1e30).unlearn(tiny_sd(), [Concept("church")], [])
    with pytest.raises(ValueError, match="variant='z' is not one of x, u"):
        ESD("z")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        *((field, 0, "it must be at least 1") for field in ("iterations", "batch_size", "num_inference_steps")),
        *(
            ("learning_rate", value, "it must be a number above 0")
            for value in (0.0, -1e-5, float("inf"), float("nan"))
        ),
        *(
            (f"{name}_guidance", value, r"is outside \[0, inf\)")
            for name in ("negative", "start")
            for value in (-1.0, float("nan"))
        ),
    ],
)
def test_numbers_that_make_no_sense_are_refused(field: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"{field}={value}.*{message}"):
        ESD(**{field: value})
