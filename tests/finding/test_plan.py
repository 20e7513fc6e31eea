"""What is planned is what runs, and what a dry run says."""

import pytest
from bits import bits
from quick_finding import SETTINGS, assert_clean, find
from tiny_transformers import tiny_transformer

from fia import Concept
from fia.finding.dry_run import estimate, in_words
from fia.finding.plan import plan_finding

CONCEPTS = ["church", "tench", "golf ball", Concept("Monet", "style")]


def count_rows(module):
    seen = []
    module.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("guidance_scale", [1, 7.5])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_rows_and_calls_that_are_planned_are_those_that_come(pipe, guidance_scale, batch_size):
    settings = {"guidance_scale": guidance_scale, "batch_size": batch_size, "concepts_at_once": 2}
    plan = plan_finding(pipe, CONCEPTS, SETTINGS.__class__(**vars(SETTINGS) | settings))
    rows = count_rows(pipe.unet.conv_in)
    find(pipe, CONCEPTS, **settings)
    assert (plan.rows, plan.calls) == (sum(rows), len(rows))


@pytest.mark.parametrize(("family", "passes"), [("flux", 2), ("lumina2", 3), ("pixart", 4)])
def test_passes_are_those_of_the_family(family, passes):
    pipe = tiny_transformer(family)
    plan = plan_finding(pipe, "tench", SETTINGS)
    rows = count_rows(next(layer.module for layer in plan.layers.values()))
    find(pipe, "tench")
    assert plan.passes == passes  # in two steps
    assert plan.rows == passes * 2 * 2 == sum(rows)  # two prompts with and two without


def test_an_estimate_leaves_the_pipeline_as_it_was_and_counts_the_processes(pipe):
    pipe.set_progress_bar_config(desc="mine")
    before, plan = bits(pipe.unet), plan_finding(pipe, CONCEPTS, SETTINGS)
    alone, shared = estimate(plan), estimate(plan, processes=2)
    assert alone.groups == 2
    assert "by 2 processes" in shared.as_text()
    assert "by" not in alone.as_text().splitlines()[3]
    assert_clean(pipe, before)
    assert f"{alone.calls:,} calls with {alone.rows:,} rows" in alone.as_text()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (42, "42 s"), (99, "99 s"), (150, "2 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert in_words(seconds) == words
