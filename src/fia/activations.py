"""Watches the maskable layers and turns what passes through them into connection saliency (Eq. 1)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .denoise import Position
from .layers import MaskableLayer

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
    layers: dict[str, MaskableLayer],
    position: Position,
    measure: Callable[[Tensor, Tensor, Tensor], Tensor],
    receive: Callable[[str, int, Tensor], None],
) -> Iterator[None]:
    """Calls `receive(layer name, prompt index, value)` for each conditional row that passes, while the context lasts.

    Rows arrive in the order of the prompts, for each layer and step. Nothing is kept or moved off the device, but for
    layers that see a prompt's tokens in parts: these are put together.

    Args:
        layers: to watch, by name.
        position: which prompts the rows belong to.
        measure: gives the value for one row from W, X and Y = X W^T; `connection_saliency` for FIA.
        receive: takes it.

    Raises:
        ValueError: within the context, for a layer that runs more often in a pass than it should.
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
                raise ValueError(
                    f"Layer {name} runs more than {layer.parts} times in a pass of the denoiser, so what it sees of a "
                    "prompt is unknown. Leave it out of the layers that are to be masked."
                )
            parts.append(layer.passed(args, output))
            if len(parts) < layer.parts:
                return
            rows, parts, done = _together(parts), [], True
            weight = layer.weight.to(output.device)
            for prompt, inputs, outputs in zip(prompts, *rows, strict=True):
                receive(name, prompt, measure(weight, inputs, outputs))

        return hook

    handles = [layer.module.register_forward_hook(hook_for(name, layer)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _together(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Returns X and Y of all tokens."""
    if len(parts) == 1:
        return parts[0]
    inputs, outputs = zip(*parts, strict=True)
    return torch.cat(inputs, dim=1), torch.cat(outputs, dim=1)
