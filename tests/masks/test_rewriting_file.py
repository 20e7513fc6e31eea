"""Forged statistics of a mask that rewrites are refused."""

import numpy as np
import pytest
from forged import rewrite
from made_rewriting import with_rewriting

from fia import NeuronMask


@pytest.fixture
def rewriting_folder(mask, tmp_path):
    with_rewriting(mask).save_pretrained(tmp_path / "rewriting")
    return tmp_path / "rewriting"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("moment_vectors.1"), r"its tensor moment_vectors\.1 is missing"),
        (lambda tensors: tensors.update({"moment_values.0": tensors["moment_values.0"][:-1]}), "another type or size"),
        (lambda tensors: tensors.update({"response_left.2": np.zeros(3, np.float32)}), "another type or size"),
        (lambda tensors: tensors["response_values.0"].fill(np.nan), "is not finite"),
        (lambda tensors: tensors["source_vectors.0"].fill(np.inf), "is not finite"),
        (lambda tensors: tensors["source_values.3"].fill(-1), "is negative"),
        (
            lambda tensors: tensors.update({"source_values.4": tensors["source_values.3"]}),
            "of 3 concepts",
        ),
    ],
)
def test_forged_moments_are_refused(rewriting_folder, change, said):
    rewrite(rewriting_folder, change_tensors=change)
    with pytest.raises(ValueError, match=said):
        NeuronMask.from_pretrained(rewriting_folder)


@pytest.mark.parametrize(
    "change",
    [
        {"retain_weight": 0},
        {"retain_weight": float("nan")},
        {"ridge": "0.01"},
        {"ranks": [[4, 2]]},
        {"ranks": [[4, 2], [4, 2], [4, 0]]},
        {"ranks": [[5, 2], [4, 2], [4, 2]]},
        {"near": {"church": ["base b"]}},
        {"near": {"nobody": ["near w chapel"]}},
        {"sources": [{"key": "base b", "block": "base", "number": 1, "rank": 4}]},
        {"sources": [{"key": "base b", "block": "other", "number": 1, "rank": 4}]},
        {"sources": [{"key": "mug", "block": "named", "number": 1, "rank": 4}]},
        {"extra": 1},
    ],
)
def test_forged_settings_of_the_rewriting_are_refused(rewriting_folder, change):
    rewrite(rewriting_folder, change_config=lambda config: config["rewriting"].update(change))
    with pytest.raises(ValueError, match="is not a mask"):
        NeuronMask.from_pretrained(rewriting_folder)


def test_numbers_of_words_that_leave_none_are_no_list(rewriting_folder):
    """A file may claim fewer words than it takes out; the rest is still solved."""

    def fewer(config):
        config["rewriting"]["sources"][2]["number"] = 1
        config["rewriting"]["sources"][0] |= {"block": "near", "key": "near 0 word"}

    rewrite(rewriting_folder, change_config=fewer)
    mask = NeuronMask.from_pretrained(rewriting_folder)
    assert all(added.isfinite().all() for added in mask.added.values())
