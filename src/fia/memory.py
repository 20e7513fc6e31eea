"""How much of a finding fits into the memory at once: concepts that share their base prompts, or else layers.

For each connection a concept needs two float32 numbers, and four more are shared by all concepts of a run.
"""

import psutil
import torch

from .layers import MaskableLayer

SHARED, FOR_A_CONCEPT = 4, 2


def sums_that_fit(device: torch.device) -> int:
    """Returns how many float32 numbers fit into half of the free memory."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return free // 2 // 4


def concepts_that_fit(layers: dict[str, MaskableLayer], device: torch.device) -> int:
    """Returns how many concepts can be found in one run; at least one."""
    connections = sum(layer.size for layer in layers.values())
    return max(1, (sums_that_fit(device) // connections - SHARED) // FOR_A_CONCEPT)


def layers_that_fit(layers: dict[str, MaskableLayer], device: torch.device) -> list[dict[str, MaskableLayer]]:
    """Returns the layers in parts of which each fits for one concept; all in one part where they do."""
    most, parts = sums_that_fit(device) // (SHARED + FOR_A_CONCEPT), [{}]  # type: ignore[var-annotated]
    held = 0
    for name, layer in layers.items():
        if parts[-1] and held + layer.size > most:
            parts.append({})
            held = 0
        parts[-1][name] = layer
        held += layer.size
    return parts
