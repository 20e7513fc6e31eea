"""One pipeline under several masks."""

import threading
from dataclasses import replace

import pytest
from bits import assert_same_bits, bits

from fia import Policy


def test_each_request_is_drawn_under_its_mask_and_the_weights_come_back(pipe, mask):
    before = bits(pipe.unet)
    policy = Policy(pipe, {"all": mask, "church": mask.only("church")})
    assert policy.names == ("all", "church")
    for name, wanted in {"church": mask.only("church"), "all": mask}.items():
        with policy(name) as inside:
            assert inside is pipe
            assert wanted.is_applied(pipe)
        assert_same_bits(pipe.unet, before)
    with policy(None):
        assert_same_bits(pipe.unet, before)


def test_an_error_in_a_request_restores_the_weights_and_frees_the_pipeline(pipe, mask):
    before, policy = bits(pipe.unet), Policy(pipe, {"all": mask})
    with pytest.raises(RuntimeError, match="midway"), policy("all"):
        raise RuntimeError("midway")
    assert_same_bits(pipe.unet, before)
    with policy("all"):
        assert mask.is_applied(pipe)


def test_requests_of_other_threads_wait(pipe, mask):
    masks = {name: mask.only(name) for name in mask.concepts}
    policy, wrong, inside = Policy(pipe, masks), [], threading.Event()

    def request(name):
        for _ in range(20):
            with policy(name):
                if inside.is_set() or not masks[name].is_applied(pipe):
                    wrong.append(name)
                inside.set()
                if not masks[name].is_applied(pipe):
                    wrong.append(name)
                inside.clear()

    before = bits(pipe.unet)
    threads = [threading.Thread(target=request, args=(name,)) for name in masks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert_same_bits(pipe.unet, before)


def test_a_block_within_a_block_is_an_error_and_not_a_wait_for_ever(pipe, mask):
    before, policy = bits(pipe.unet), Policy(pipe, {"all": mask})
    with policy("all"):
        with pytest.raises(RuntimeError, match="This thread already uses this policy"), policy(None):
            pass
        assert mask.is_applied(pipe)
    assert_same_bits(pipe.unet, before)
    with policy("all"):
        pass


def test_what_does_not_fit_is_refused_at_once(pipe, mask):
    with pytest.raises(ValueError, match="Mask 'odd' does not fit the pipeline: The mask was found in other weights"):
        Policy(pipe, {"all": mask, "odd": replace(mask, weights_hash="other")})
    Policy(pipe, {"odd": replace(mask, weights_hash="other")}, check_weights=False)
    with pytest.raises(ValueError, match="There is no mask 'kids' in this policy; name one that it has: all"):
        Policy(pipe, {"all": mask})("kids").__enter__()
    mask.apply(pipe)
    with pytest.raises(ValueError, match=r"A mask \(church, golf ball, Van Gogh\) is applied to this pipeline"):
        Policy(pipe, {"all": mask})


@pytest.mark.usefixtures("any_types")
def test_masks_without_names_are_refused(pipe, mask):
    with pytest.raises(TypeError, match="masks is a list; give the masks by name"):
        Policy(pipe, [mask])
