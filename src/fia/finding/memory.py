"""Where the running sums of a finding are kept, so that they fit.

For each connection a concept needs two float32 numbers, its sums over the steps; and two more are shared by all
concepts of a run. What is decided here changes no result, beyond rounding on another device: the same rows go through
the denoiser in the same batches.
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
    """How the sums are kept.

    Attributes:
        parts: the layers, those of each part to be watched in a run of their own.
        integrals: where the concepts' sums over the steps are kept: with the model, or in the computer's memory.
        concepts: how many are looked for at once, at most.
    """

    parts: list[dict[str, MaskableLayer]]
    integrals: torch.device
    concepts: int

    @property
    def bytes(self) -> int:
        """Memory for the sums, wherever they are."""
        largest = max(sum(layer.size for layer in part.values()) for part in self.parts)
        return 4 * largest * (SHARED + FOR_A_CONCEPT * self.concepts)


def numbers_that_fit(device: torch.device) -> int:
    """Returns how many float32 numbers fit into half of the free memory, of which every process here has a share."""
    return free_memory(device) // 2 // 4


def free_memory(device: torch.device) -> int:
    """Returns the bytes that are free on a device; of the computer's memory, those that are this process's share."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    return int(psutil.virtual_memory().available) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def plan_memory(layers: dict[str, MaskableLayer], concepts: int, device: torch.device) -> MemoryPlan:
    """Returns how to keep the sums of so many concepts at once for a model on a device.

    Where a GPU has no room for all of them, the concepts' sums go to the CPU; where that does not help either, the
    layers are watched in several runs, which is warned of.
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
            f"The running sums of {concepts} concepts at once do not fit the memory, so the layers are watched in "
            f"{len(parts)} runs, each as long as one. Give a smaller concepts_at_once (--concepts-at-once)."
        )
    return MemoryPlan(parts, device, concepts)


def _split(layers: dict[str, MaskableLayer], most: int) -> list[dict[str, MaskableLayer]]:
    """Returns the layers in parts of at most so many connections, and of at least one layer."""
    parts: list[dict[str, MaskableLayer]] = [{}]
    held = 0
    for name, layer in layers.items():
        if parts[-1] and held + layer.size > most:
            parts.append({})
            held = 0
        parts[-1][name] = layer
        held += layer.size
    return parts
