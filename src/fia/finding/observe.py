"""Watches layers while a pipeline runs, and measures the rows that pass through them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from threading import get_ident

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..models.layers import MaskableLayer
from .saliency import Measure, numbers_at_once

Receive = Callable[[str, range, Tensor], None]
Watch = Callable[[str, range, Tensor, Tensor], None]


class Observer:
    """Calls `receive(layer name, prompts, values)` for the conditional rows that pass, within its `with` block.

    For each layer and step, rows arrive in the order of the prompts, a few at a time. The observer keeps nothing and
    moves nothing off the device. One exception: if a layer sees a prompt's tokens in parts, it joins them first.

    Attributes:
        prompts: indices of the prompts whose conditional rows are in the denoiser now, or None if nothing is observed.
            `run_first_steps` sets it.
    """

    def __init__(
        self,
        layers: Mapping[str, MaskableLayer],
        measure: Measure,
        receive: Receive,
        watch: Watch | None = None,
    ) -> None:
        """Prepares to watch. It watches nothing before its `with` block.

        Args:
            layers: the layers to watch, by name.
            measure: returns the values of some rows, stacked. It takes the arguments of `connection_saliency`, which is
                the measure of FIA.
            receive: called with the layer's name, the indices of the prompts, and the values.
            watch: called before that with the name, the indices, and the layer's inputs and outputs.
        """
        self.prompts: range | None = None
        self.thread = get_ident()  # what other threads run is not observed
        self.measure, self.receive, self.watch = measure, receive, watch
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
        self.prompts: range | None = None  # the prompts of the rows that it saw last
        self.runs = 0  # its runs with these rows
        self.parts: list[tuple[Tensor, Tensor]] = []

    def __call__(self, _module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Measures the rows that passed.

        Raises:
            DataError: if the layer runs more often in a pass than it should, or gets another number of rows.
        """
        prompts, layer = self.observer.prompts, self.layer
        if prompts is None or get_ident() != self.observer.thread:
            return
        if prompts is not self.prompts:  # every slice of rows has its own range object
            self.prompts, self.runs, self.parts = prompts, 0, []
        self.runs += 1
        if self.runs > layer.parts:
            raise DataError(
                f"Layer {self.name} runs more than {layer.parts} times in a pass of the denoiser, so we cannot tell "
                "what it sees of a prompt. Choose a pattern of layers that leaves it out (--layers)."
            )
        self.parts.append(layer.passed(args, output))
        if self.runs < layer.parts:
            return
        (inputs, outputs), self.parts = _together(self.parts), []
        if len(inputs) != len(prompts):
            raise DataError(
                f"Layer {self.name} was given {len(inputs)} rows for {len(prompts)} prompts. Choose a pattern of "
                "layers that leaves it out (--layers)."
            )
        if self.observer.watch is not None:
            self.observer.watch(self.name, prompts, inputs, outputs)
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
