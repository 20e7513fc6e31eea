"""Settings: the defaults of the paper, and what is out of range."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from fia import Settings
from fia.settings import SettingsByName


def test_defaults_are_those_of_the_paper():
    settings = Settings()
    assert (settings.num_inference_steps, settings.guidance_scale, settings.saliency_steps) == (50, 7.5, 10)
    assert (settings.temporal_ratio, settings.agnostic_ratio) == (0.05, None)  # alpha depends on the concepts
    assert settings.count_ties is False


@pytest.mark.parametrize("name", ["spatial_ratio", "temporal_ratio"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_ratios_outside_0_to_1_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value} is outside \[0, 1\]"):
        Settings(**{name: value})


@pytest.mark.parametrize("value", [0, 1])
def test_ratios_at_the_ends_are_accepted(value):
    assert Settings(spatial_ratio=value, temporal_ratio=value).spatial_ratio == value


@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_negative_alpha_is_refused(value):
    with pytest.raises(ValueError, match=rf"agnostic_ratio={value} is outside"):
        Settings(agnostic_ratio=value)


@pytest.mark.parametrize("value", [None, 0, 1, 1.5])
def test_alpha_may_be_left_open_be_zero_and_exceed_one(value):
    assert Settings(agnostic_ratio=value).agnostic_ratio == value


@pytest.mark.parametrize(
    "name", ["prompts_per_concept", "seeds_per_prompt", "num_inference_steps", "saliency_steps", "batch_size"]
)
@pytest.mark.parametrize("value", [0, -1])
def test_counts_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value}; it must be at least 1"):
        Settings(**{name: value})


def test_more_saliency_steps_than_denoising_steps_are_refused():
    with pytest.raises(ValueError, match="saliency_steps=6 exceeds num_inference_steps=5"):
        Settings(saliency_steps=6, num_inference_steps=5)


def test_as_many_saliency_steps_as_denoising_steps_are_accepted():
    assert Settings(saliency_steps=5, num_inference_steps=5).saliency_steps == 5


@pytest.mark.usefixtures("any_types")
def test_an_unknown_magnitude_is_refused():
    with pytest.raises(ValueError, match="magnitude='mean' is not one of raw, max"):
        Settings(magnitude="mean")


def test_settings_do_not_change_once_made():
    with pytest.raises(AttributeError, match="cannot assign"):
        Settings().seed = 1


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"guidance_scale": float("nan")}, "guidance_scale=nan is outside"),
        ({"guidance_scale": -1}, "guidance_scale=-1 is outside"),
        ({"guidance_scale": True}, "guidance_scale=True is not a number"),
        ({"saliency_steps": float("nan")}, "saliency_steps=nan is not a whole number"),
        ({"saliency_steps": 2.5}, "saliency_steps=2.5 is not a whole number"),
        ({"prompts_per_concept": "5"}, "prompts_per_concept='5' is not a whole number"),
        ({"spatial_ratio": "0.1"}, "spatial_ratio='0.1' is not a number"),
        ({"seed": 2**64}, "seed=18446744073709551616 is outside"),
        ({"seed": -1}, "seed=-1 is outside"),
        ({"ridge": None}, "ridge=None is not a number"),
    ],
)
def test_what_is_no_number_is_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        Settings(**given)


def test_more_saliency_steps_name_both_ways_out():
    with pytest.raises(ValueError, match=r"give saliency_steps=4 \(--saliency-steps 4\) or fewer, or more num_inf"):
        Settings(num_inference_steps=4)


def test_single_settings_have_the_names_and_types_of_the_fields():
    assert get_type_hints(SettingsByName) == {own.name: own.type for own in fields(Settings)}
