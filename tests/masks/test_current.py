"""The mask that a pipeline carries."""

from copy import deepcopy
from dataclasses import replace

import pytest
from bits import assert_same_bits, bits

import fia


def test_the_mask_on_a_pipeline_need_not_be_kept(pipe, mask) -> None:
    before = bits(pipe.unet)
    assert fia.current_mask(pipe) is None
    mask.apply(pipe)
    assert fia.current_mask(pipe) is mask
    assert fia.current_mask(type(pipe)(**pipe.components, requires_safety_checker=False)) is mask
    assert fia.remove(pipe) is mask
    assert fia.current_mask(pipe) is None
    assert_same_bits(pipe.unet, before)


def test_it_goes_with_a_copy_of_the_model(pipe, mask) -> None:
    before = bits(pipe.unet)
    mask.apply(pipe)
    pipe.unet = deepcopy(pipe.unet)
    assert fia.current_mask(pipe).fingerprint == mask.fingerprint
    fia.remove(pipe)
    assert_same_bits(pipe.unet, before)


def test_there_is_none_within_a_block_only(pipe, mask) -> None:
    with mask.applied(pipe):
        assert fia.current_mask(pipe) is mask
    with pytest.raises(ValueError, match="No mask is applied to this pipeline"):
        fia.remove(pipe)


@pytest.mark.usefixtures("any_types")
@pytest.mark.parametrize("verb", [fia.current_mask, fia.remove, fia.adapters])
def test_something_else_is_refused(verb, pipe) -> None:
    with pytest.raises(TypeError, match="pipe is a UNet2DConditionModel, not a pipeline"):
        verb(pipe.unet)


def test_notebooks_show_a_short_table_and_no_markup_of_a_name(mask) -> None:
    html = mask._repr_html_()
    assert "<td>Van Gogh</td><td>style</td><td>1,600</td><td>1</td>" in html
    assert len(html) < 1000
    odd = replace(mask, neurons={f"<b>{i}": mask.neurons["church"] for i in range(100)})
    assert "<b>" not in odd._repr_html_()
    assert "and 80 more" in odd._repr_html_()
    assert len(odd._repr_html_()) < 3000
    assert len(repr(odd)) < 300
