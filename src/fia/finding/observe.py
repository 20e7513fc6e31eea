"""Watches the maskable layers and turns what passes through them into connection saliency (Eq. 1)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..models.layers import MaskableLayer
from .denoise import Position
from .saliency import Measure, numbers_at_once


@contextmanager
def observe(
    layers: dict[str, MaskableLayer],
    position: Position,
    measure: Measure,
    receive: Callable[[str, range, Tensor], None],
) -> Iterator[None]:
    """Calls `receive(layer name, prompts, values)` for the conditional rows that pass, while the context lasts.

    Rows arrive in the order of the prompts, for each layer and step, a few at a time. Nothing is kept or moved off the
    device, but for layers that see a prompt's tokens in parts: these are put together.

    Args:
        layers: to watch, by name.
        position: which prompts the rows belong to.
        measure: gives the rows' values, stacked, from what `connection_saliency` takes, which is FIA's.
        receive: takes them, with the indices of their prompts.

    Raises:
        ValueError: within the context, for a layer that runs more often in a pass than it should, or for rows that are
            not as many as the prompts.
    """

    def hook_for(name: str, layer: MaskableLayer) -> Callable:
        prompts: range | None = None
        parts: list[tuple[Tensor, Tensor]] = []
        done = False

        def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal prompts, parts, done
            if position.prompts is None:
                return
            if prompts is not position.prompts:  # every slice of rows has a range of its own
                prompts, parts, done = position.prompts, [], False
            if done:
                raise UsageError(
                    f"Layer {name} runs more than {layer.parts} times in a pass of the denoiser, so what it sees of a "
                    "prompt is unknown. Leave it out of the layers that are to be masked."
                )
            parts.append(layer.passed(args, output))
            if len(parts) < layer.parts:
                return
            (inputs, outputs), parts, done = _together(parts), [], True
            if len(inputs) != len(prompts):
                raise UsageError(f"Layer {name} was given {len(inputs)} rows for {len(prompts)} prompts.")
            weight = layer.weight.to(output.device, torch.float32)
            bias = None if layer.bias is None else layer.bias.to(output.device)
            step = max(1, numbers_at_once(output.device) // layer.size)
            for i in range(0, len(prompts), step):
                rows = slice(i, i + step)
                receive(name, prompts[rows], measure(weight, inputs[rows], outputs[rows], bias))

        return hook

    handles = [layer.module.register_forward_hook(hook_for(name, layer)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _together(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Returns X and Z of all tokens."""
    if len(parts) == 1:
        return parts[0]
    inputs, outputs = zip(*parts, strict=True)
    return torch.cat(inputs, dim=1), torch.cat(outputs, dim=1)
