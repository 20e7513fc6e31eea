"""The code of indices: short, exact, and never more than it says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fia.masks.gapcode import ESCAPE, decode, encode


@pytest.mark.parametrize(
    ("indices", "code"),
    [
        ([], []),
        ([0], [0]),
        ([0, 1, 2], [0, 0, 0]),
        ([5, 9], [5, 3]),
        ([ESCAPE - 1], [ESCAPE - 1]),
        ([ESCAPE], [ESCAPE, 0]),
        ([3, 3 + 1 + 2 * ESCAPE + 7], [3, ESCAPE, ESCAPE, 7]),
    ],
)
def test_the_code_by_hand(indices: list[int], code: list[int]) -> None:
    written = encode(torch.tensor(indices, dtype=torch.int32))
    assert written.dtype == np.uint16
    assert written.tolist() == code
    assert decode(written, 2**31).tolist() == indices


@given(st.sets(st.integers(0, 2**31 - 1), max_size=50) | st.sets(st.integers(0, 300), max_size=300))
def test_any_indices_come_back(indices: set[int]) -> None:
    tensor = torch.tensor(sorted(indices), dtype=torch.int32)
    back = decode(encode(tensor), 2**31)
    assert back.dtype == torch.int32
    assert torch.equal(back, tensor)


@given(st.lists(st.integers(0, ESCAPE), max_size=50), st.integers(1, 2**31))
def test_any_code_is_refused_or_gives_ascending_indices_of_the_layer(code: list[int], size: int) -> None:
    try:
        indices = decode(np.array(code, dtype=np.uint16), size)
    except ValueError:
        return
    assert len(indices) <= len(code)
    assert (indices.diff() > 0).all()
    assert all(0 <= i < size for i in indices.tolist())
    assert encode(indices).tolist() == code  # one code for each set of indices


def test_a_sparse_layer_takes_about_two_bytes_an_index() -> None:
    size = 1280 * 5120  # the largest layer of Stable Diffusion 1.5
    for share in (0.0005, 0.007, 0.03):
        indices = torch.randperm(size, generator=torch.Generator().manual_seed(0))[: int(share * size)].sort().values
        assert encode(indices).nbytes <= 2.1 * len(indices)


def test_a_code_that_ends_within_a_gap_or_reaches_too_far_is_refused() -> None:
    with pytest.raises(ValueError, match="ends within a gap"):
        decode(np.array([4, ESCAPE], dtype=np.uint16), 10**6)
    with pytest.raises(ValueError, match="reaches connection 10 of 10"):
        decode(np.array([4, 5], dtype=np.uint16), 10)
