"""Whether a processor multiplies in half precision.

One without instructions for it takes many times as long as in float32 (66 times on an AMD EPYC with AVX2 alone), one
with them at most about as long (0.4 of it with AVX-512 BF16).
"""

import logging
import time
from functools import cache

import torch

log = logging.getLogger("fia")
SIDE, TRIES = 256, 4
SLOW = 4.0  # times as long as in float32


@cache
def slowdown(dtype: torch.dtype) -> float:
    """Returns how many times as long as in float32 the processor takes for a product of matrices; measured."""
    fastest = []
    for own in (torch.float32, dtype):
        matrix, times = torch.ones(SIDE, SIDE, dtype=own), []
        for _ in range(TRIES):
            started = time.perf_counter()
            _ = matrix @ matrix
            times.append(time.perf_counter() - started)
        fastest.append(min(times))
    return fastest[1] / fastest[0]


def is_slow(device: torch.device, dtype: torch.dtype) -> bool:
    """Says whether the device is a processor without instructions for a type of half precision."""
    return device.type == "cpu" and dtype != torch.float32 and slowdown(dtype) > SLOW


@cache
def warn_if_slow(device: torch.device, dtype: torch.dtype, remedy: str) -> None:
    """Logs a warning, once, if the device is a processor without instructions for a type of half precision."""
    if is_slow(device, dtype):
        name = str(dtype).removeprefix("torch.")
        log.warning(
            f"This processor has no instructions for {name}: a product of matrices takes {slowdown(dtype):.0f} times "
            f"as long as in float32. {remedy}"
        )
