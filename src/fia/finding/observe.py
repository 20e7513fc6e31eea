"""Watches layers while a pipeline runs, and measures the rows of the prompts that pass through them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..models.layers import MaskableLayer
from .saliency import Measure, numbers_at_once

Receive = Callable[[str, range, Tensor], None]


class Observer:
    """Calls `receive(layer name, prompts, values)` for the conditional rows that pass, while its `with` block lasts.

    Rows arrive in the order of the prompts, for each layer and step, a few at a time. Nothing is kept or moved off the
    device, except for a layer that sees a prompt's tokens in parts: those are put together first.

    Attributes:
        prompts: indices of the prompts whose conditional rows are in the denoiser now, or None if nothing is observed.
            `run_first_steps` sets it.
    """

    def __init__(self, layers: Mapping[str, MaskableLayer], measure: Measure, receive: Receive) -> None:
        """Watches nothing before its `with` block.

        Args:
            layers: to watch, by name.
            measure: gives the rows' values, stacked; it takes what `connection_saliency` takes, which is FIA's.
            receive: takes them, with the indices of their prompts.
        """
        self.prompts: range | None = None
        self.measure, self.receive = measure, receive
        self._layers = layers

    def __enter__(self) -> "Observer":
        with ExitStack() as hooks:
            for name, layer in self._layers.items():
                hooks.callback(layer.module.register_forward_hook(_LayerHook(name, layer, self)).remove)
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._hooks.close()


class _LayerHook:
    """The forward hook of one layer."""

    def __init__(self, name: str, layer: MaskableLayer, observer: Observer) -> None:
        self.name, self.layer, self.observer = name, layer, observer
        self.prompts: range | None = None  # whose rows it saw last
        self.runs = 0  # with them
        self.parts: list[tuple[Tensor, Tensor]] = []

    def __call__(self, _module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Measures what passed.

        Raises:
            DataError: if the layer runs more often in a pass than it should, or was given other rows than the prompts'.
        """
        prompts, layer = self.observer.prompts, self.layer
        if prompts is None:
            return
        if prompts is not self.prompts:  # every slice of rows has a range of its own
            self.prompts, self.runs, self.parts = prompts, 0, []
        self.runs += 1
        if self.runs > layer.parts:
            raise DataError(
                f"Layer {self.name} runs more than {layer.parts} times in a pass of the denoiser, so what it sees of a "
                "prompt is unknown. Leave it out of the layers that are to be masked."
            )
        self.parts.append(layer.passed(args, output))
        if self.runs < layer.parts:
            return
        (inputs, outputs), self.parts = _together(self.parts), []
        if len(inputs) != len(prompts):
            raise DataError(f"Layer {self.name} was given {len(inputs)} rows for {len(prompts)} prompts.")
        weight = layer.weight.to(output.device, torch.float32)
        bias = None if layer.bias is None else layer.bias.to(output.device)
        step = max(1, numbers_at_once(output.device) // layer.size)
        for i in range(0, len(prompts), step):
            rows = slice(i, i + step)
            values = self.observer.measure(weight, inputs[rows], outputs[rows], bias)
            self.observer.receive(self.name, prompts[rows], values)


def _together(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Returns X and Z of all tokens."""
    if len(parts) == 1:
        return parts[0]
    inputs, outputs = zip(*parts, strict=True)
    return torch.cat(inputs, dim=1), torch.cat(outputs, dim=1)
