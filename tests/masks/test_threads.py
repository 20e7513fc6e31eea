"""Several threads on one model: each waits for the others, and the weights come back."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bits import assert_same_bits, bits
from warned import warned

import fia
from fia.models import lock


def in_threads(*deeds):
    """Runs functions at the same time, each in its own thread, and raises what one of them raised."""
    together = threading.Barrier(len(deeds))

    def run(deed):
        together.wait()
        return deed()

    with ThreadPoolExecutor(len(deeds)) as threads:
        return [future.result() for future in [threads.submit(run, deed) for deed in deeds]]


@pytest.mark.slow
def test_hundreds_of_blocks_in_four_threads_leave_every_weight_as_it_was(pipe, mask):
    before, masks = bits(pipe.unet), [mask, mask, mask.only("church"), mask.without("church")]

    def rounds(own):
        for _ in range(100):
            with own.applied(pipe):
                pass

    in_threads(*[lambda own=own: rounds(own) for own in masks])
    assert_same_bits(pipe.unet, before)
    assert not mask.is_applied(pipe)


def test_applying_finding_and_a_policy_at_once_are_right(pipe, mask):
    options = {
        "num_inference_steps": 4,
        "saliency_steps": 2,
        "prompts_per_concept": 2,
        "progress": False,
        "edit": "zero",
    }
    alone = fia.find(pipe, ["church", "cat"], **options)
    before, policy = bits(pipe.unet), fia.Policy(pipe, {"all": mask})

    def rounds(block):
        for _ in range(5):
            with block():
                pass

    found, *_ = in_threads(
        lambda: fia.find(pipe, ["church", "cat"], **options),
        lambda: rounds(lambda: mask.applied(pipe)),
        lambda: rounds(lambda: policy("all")),
        lambda: rounds(lambda: policy(None)),
    )
    assert found.fingerprint == alone.fingerprint
    assert_same_bits(pipe.unet, before)


def test_a_block_left_in_another_thread_restores_the_weights(pipe, mask):
    before, block = bits(pipe.unet), mask.applied(pipe)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(block.__enter__).result()
        other.submit(block.__exit__, None, None, None).result()
        assert_same_bits(pipe.unet, before)
        with mask.applied(pipe):
            pass


def test_blocks_that_overlap_in_one_thread_end_with_the_last(pipe, mask):
    before, first, second = bits(pipe.unet), mask.applied(pipe), mask.applied(pipe)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert mask.is_applied(pipe)
    second.__exit__(None, None, None)
    assert_same_bits(pipe.unet, before)


def test_a_long_wait_says_what_it_waits_for(pipe, mask, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with mask.applied(pipe):
            inside.set()
            leave.wait(10)

    with ThreadPoolExecutor(2) as threads:
        held = threads.submit(hold)
        assert inside.wait(10)
        with warned("Another thread has used this model"):
            waiting = threads.submit(mask.is_applied, pipe)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            leave.set()
            assert waiting.result(10) is False
        held.result(10)
