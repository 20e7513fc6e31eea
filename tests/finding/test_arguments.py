"""What `find` refuses before it runs, in words that say what to do; and the arguments that it gives the pipeline."""

import pytest
from quick_finding import SETTINGS, assert_same_neurons, find

import fia


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ([("Monet", "style")], r'is a tuple, not a concept; .* such as fia\.Concept\("Monet", kind="style"\)'),
        ([5], "5 is a int, not a concept; give a name or a fia.Concept"),
        ([None], "None is a NoneType, not a concept"),
        (None, "None is a NoneType; give a list of names"),
        (5, "5 is a int; give a list"),
        (b"church", "b'church' is a bytes; give a list"),
        ({"church": 0.5}, "is a dict; give a list of names.*with_strengths"),
        ([["church"]], r"\['church'\] is a list, not a concept"),
    ],
)
def test_what_is_no_concept_is_refused(concepts, message, pipe) -> None:
    with pytest.raises(ValueError, match=message):
        find(pipe, concepts)
    with pytest.raises(ValueError, match=message):
        find(pipe, "cat", SETTINGS, keep=concepts)


def test_a_comma_is_not_taken_for_a_part_of_a_name(pipe) -> None:
    with pytest.raises(ValueError, match=r"Give a list of names, \['church', 'golf ball'\], or.*fia.Concept\('church,"):
        find(pipe, "church, golf ball")
    assert find(pipe, fia.Concept("Paris, Texas")).concepts == ("Paris, Texas",)


@pytest.mark.usefixtures("any_types")
def test_something_else_than_a_pipeline_is_refused(pipe) -> None:
    for other in ("stable-diffusion", pipe.unet, None):
        with pytest.raises(TypeError, match=f"pipe is a {type(other).__name__}, not a pipeline"):
            find(other, "cat")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spatal_ratio": 0.1}, "There is no setting 'spatal_ratio'. Did you mean 'spatial_ratio'?"),
        ({"r2": 0.1}, "There is no setting 'r2'. Did you mean 'spatial_ratio'?"),
        ({"Alpha": 0.1}, "There is no setting 'Alpha'. Did you mean 'agnostic_ratio'?"),
        ({"xyzzy": 1}, "There is no setting 'xyzzy'. fia.Settings lists all of them."),
        (
            {"height": 16},
            r"'height' is no setting, but an argument of .*Pipeline. Give call=\{'height': 16\}",
        ),
    ],
)
def test_a_setting_that_does_not_exist(given, message, pipe) -> None:
    with pytest.raises(TypeError, match=message):
        find(pipe, "cat", None, **given)


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize("settings", [{"spatial_ratio": 0.1}, "paper"])
def test_settings_of_another_type(settings, pipe) -> None:
    with pytest.raises(TypeError, match=r"give fia\.Settings\(\.\.\.\), or single settings by name"):
        find(pipe, "cat", settings)


def test_the_size_of_the_images_reaches_the_model_and_is_recorded(pipe) -> None:
    sizes = set()
    pipe.unet.register_forward_pre_hook(lambda _, inputs: sizes.add(tuple(inputs[0].shape[-2:])))
    mask = find(pipe, "cat", edit="rewrite", call={"height": 32, "width": 24})
    assert sizes == {(16, 12)}
    assert mask.provenance[0]["call"] == {"height": 32, "width": 24}
    usual = find(pipe, "cat", edit="rewrite")
    assert usual.provenance[0]["call"] == {}
    with pytest.raises(AssertionError):
        assert_same_neurons(mask, usual)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"heigth": 32}, TypeError, "'heigth', which StableDiffusionPipeline does not take. Did you mean 'height'"),
        ({"height": 13}, ValueError, "height=13 is not a multiple of 8"),
        ({"width": 0}, ValueError, "width=0 is not a multiple of 8"),
        ({"width": "32"}, ValueError, "width='32' is not a multiple of 8"),
        ({"guidance_scale": 3}, TypeError, "'guidance_scale', which finding gives itself. Use the settings"),
        ({"num_images_per_prompt": 2}, TypeError, "finding gives itself"),
        ({"callback_on_step_end": print}, TypeError, "only numbers, texts, and lists"),
    ],
)
def test_arguments_that_the_pipeline_cannot_take(call, error, message, pipe) -> None:
    with pytest.raises(error, match=message):
        find(pipe, "cat", call=call)
