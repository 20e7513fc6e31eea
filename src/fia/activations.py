"""Watches the maskable layers and turns what passes through them into connection saliency (Eq. 1)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .denoise import Position

EPSILON = 1e-8


def connection_saliency(
    weight: Float[Tensor, "outputs inputs"],
    inputs: Float[Tensor, "tokens inputs"],
    outputs: Float[Tensor, "tokens outputs"],
) -> Float[Tensor, "outputs inputs"]:
    """Scores every connection of a linear layer for one prompt (Eq. 1), in float32.

    U[i,j] = |W[i,j]| * ||X[:,j]|| * |<X[:,j], Y[:,i]>| / (||X[:,j]|| * ||Y[:,i]|| + eps)

    Args:
        weight: W.
        inputs: X, what the layer is given.
        outputs: Y = X W^T, without the bias.
    """
    weight, inputs, outputs = weight.float(), inputs.float(), outputs.float()
    input_norms = inputs.norm(dim=0)
    cosines = (outputs.T @ inputs).abs_() / (torch.outer(outputs.norm(dim=0), input_norms) + EPSILON)
    return cosines.mul_(weight.abs()).mul_(input_norms)


@contextmanager
def observe(
    layers: dict[str, nn.Linear],
    position: Position,
    measure: Callable[[Tensor, Tensor, Tensor], Tensor],
    receive: Callable[[str, int, Tensor], None],
) -> Iterator[None]:
    """Calls `receive(layer name, prompt index, value)` for each conditional row that passes, while the context lasts.

    Rows arrive in the order of the prompts, for each layer and step. Nothing is kept or moved off the device.

    Args:
        layers: to watch, by name.
        position: which prompts the rows belong to.
        measure: gives the value for one row from W, X and Y = X W^T; `connection_saliency` for FIA.
        receive: takes it.
    """

    def hook_for(name: str) -> Callable:
        def hook(layer: nn.Linear, args: tuple[Tensor], output: Tensor) -> None:
            if position.prompts is None:
                return
            unbiased = output if layer.bias is None else output.float() - layer.bias.float()
            for prompt, inputs, outputs in zip(position.prompts, args[0], unbiased, strict=True):
                receive(name, prompt, measure(layer.weight, inputs, outputs))

        return hook

    handles = [layer.register_forward_hook(hook_for(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
