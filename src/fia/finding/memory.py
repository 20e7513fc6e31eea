"""Decides where to keep the running sums, so that they fit the memory.

For each connection, a concept needs two float32 numbers, its sums over the steps. All concepts that run together share
two more. The decision changes no result, except for rounding on another device: the same rows go through the denoiser
in the same batches.
"""

import logging
import os
from dataclasses import dataclass

import psutil
import torch

from ..models.layers import MaskableLayer

log = logging.getLogger("fia")

SHARED, FOR_A_CONCEPT = 2, 2
CPU = torch.device("cpu")


@dataclass(frozen=True)
class MemoryPlan:
    """Where the sums are kept.

    Attributes:
        parts: the layers, in parts. The steps run once for each part and watch its layers.
        integrals: the device that keeps the concepts' sums over the steps: that of the model, or the CPU.
        concepts: the largest number of concepts that go through the steps together.
    """

    parts: list[dict[str, MaskableLayer]]
    integrals: torch.device
    concepts: int

    @property
    def bytes(self) -> int:
        """Memory for the sums, on whatever device, in bytes."""
        largest = max(sum(layer.size for layer in part.values()) for part in self.parts)
        return 4 * largest * (SHARED + FOR_A_CONCEPT * self.concepts)


def numbers_that_fit(device: torch.device) -> int:
    """Returns how many float32 numbers fit into half of the free memory; see `free_memory`."""
    return free_memory(device) // 2 // 4


def free_memory(device: torch.device) -> int:
    """Returns the free bytes of a device. On the CPU, returns the share of this process in the free memory."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    return int(psutil.virtual_memory().available) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def plan_memory(layers: dict[str, MaskableLayer], concepts: int, device: torch.device) -> MemoryPlan:
    """Returns where to keep the sums.

    If a GPU has no room for all sums, the concepts' sums go to the CPU. If they do not fit there either, the steps run
    several times, each time with a part of the layers, and a warning says so.

    Args:
        layers: the layers to watch.
        concepts: the largest number of concepts that go through the steps together.
        device: the device of the model.
    """
    connections, fits = sum(layer.size for layer in layers.values()), numbers_that_fit(device)
    if (SHARED + FOR_A_CONCEPT * concepts) * connections <= fits:
        return MemoryPlan([layers], device, concepts)
    if (
        device != CPU
        and SHARED * connections <= fits
        and FOR_A_CONCEPT * concepts * connections <= numbers_that_fit(CPU)
    ):
        return MemoryPlan([layers], CPU, concepts)
    parts = _split(layers, fits // (SHARED + FOR_A_CONCEPT * concepts))
    if len(parts) > 1:
        log.warning(
            f"The running sums of {concepts} concepts at once do not fit the memory, so the layers are split and "
            f"watched in {len(parts)} runs, which takes {len(parts)} times as long. Give a smaller concepts_at_once "
            "(--concepts-at-once)."
        )
    return MemoryPlan(parts, device, concepts)


def _split(layers: dict[str, MaskableLayer], most: int) -> list[dict[str, MaskableLayer]]:
    """Returns the layers in parts of at most `most` connections each, but of at least one layer."""
    parts: list[dict[str, MaskableLayer]] = [{}]
    held = 0
    for name, layer in layers.items():
        if parts[-1] and held + layer.size > most:
            parts.append({})
            held = 0
        parts[-1][name] = layer
        held += layer.size
    return parts
