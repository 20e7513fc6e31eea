"""How a mask's indices are written: two bytes each, and two more where the next one is far away.

Ascending indices are kept as the gaps between them, the numbers of connections passed over: index k is
-1 + sum over i <= k of (gap_i + 1). A gap is written in 16 bits; 65535 stands for that many connections passed over
without an index, and the rest of the gap follows.
"""

import numpy as np
import torch
from torch import Tensor

ESCAPE = 65535


def encode(indices: Tensor) -> np.ndarray:
    """Returns the code (uint16) of ascending flat indices (k,), not negative."""
    gaps = np.diff(indices.numpy().astype(np.int64), prepend=-1) - 1
    escapes, rest = np.divmod(gaps, ESCAPE)
    code = np.full(len(gaps) + int(escapes.sum()), ESCAPE, dtype=np.uint16)
    code[np.cumsum(escapes + 1) - 1] = rest
    return code


def decode(code: np.ndarray, size: int) -> Tensor:
    """Returns the flat indices (k,), int32, that a code (uint16) stands for.

    Args:
        code: of a layer.
        size: number of connections of the layer, at most 2^31.

    Raises:
        ValueError: if the code ends within a gap, or its indices reach beyond the layer.
    """
    is_index = code != ESCAPE
    indices = np.cumsum(code.astype(np.int64) + is_index)[is_index] - 1
    if len(code) and not is_index[-1]:
        raise ValueError("ends within a gap")
    if len(indices) and indices[-1] >= size:
        raise ValueError(f"reaches connection {indices[-1]} of {size}")
    return torch.from_numpy(indices.astype(np.int32))
