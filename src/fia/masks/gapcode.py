"""How a mask's indices are written: two bytes each, and two more if the next index is far away.

The code holds the gaps between ascending indices. A gap is the number of connections that are skipped, so index k is
-1 + sum over i <= k of (gap_i + 1). A gap takes 16 bits. The value 65535 means that 65535 connections are skipped and
that the rest of the gap follows.
"""

import numpy as np
import torch
from torch import Tensor

ESCAPE = 65535


def encode(indices: Tensor) -> np.ndarray:
    """Returns the code (uint16) of flat indices (k,), which are ascending and not negative."""
    gaps = np.diff(indices.numpy().astype(np.int64), prepend=-1) - 1
    escapes, rest = np.divmod(gaps, ESCAPE)
    code = np.full(len(gaps) + int(escapes.sum()), ESCAPE, dtype=np.uint16)
    code[np.cumsum(escapes + 1) - 1] = rest
    return code


def decode(code: np.ndarray, size: int) -> Tensor:
    """Returns the flat indices (k,), int32, that a code (uint16) stands for.

    Args:
        code: the code of one layer.
        size: number of connections of the layer, at most 2^31.

    Raises:
        ValueError: if the code ends within a gap, or an index is outside the layer.
    """
    is_index = code != ESCAPE
    indices = np.cumsum(code.astype(np.int64) + is_index)[is_index] - 1
    if len(code) and not is_index[-1]:
        raise ValueError("ends within a gap")
    if len(indices) and indices[-1] >= size:
        raise ValueError(f"reaches connection {indices[-1]} of {size}")
    return torch.from_numpy(indices.astype(np.int32))
