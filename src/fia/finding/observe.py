"""Watches the maskable layers and turns what passes through them into connection saliency (Eq. 1)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..models.layers import MaskableLayer
from .denoise import Position

EPSILON = 1e-8
Measure = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]  # of W, X, Z and b, as `connection_saliency`


def connection_saliency(
    weight: Float[Tensor, "outputs inputs"],
    inputs: Float[Tensor, "*rows tokens inputs"],
    outputs: Float[Tensor, "*rows tokens outputs"],
    bias: Float[Tensor, " outputs"] | None = None,
) -> Float[Tensor, "*rows outputs inputs"]:
    """Scores every connection of a linear layer for one prompt, or for each of several (Eq. 1), in float32.

    U[i,j] = |W[i,j]| * ||X[:,j]|| * |<X[:,j], Y[:,i]>| / (||X[:,j]|| * ||Y[:,i]|| + eps)

    It is computed as |W[i,j] * <X[:,j], Y[:,i]>| / (||Y[:,i]|| + eps / ||X[:,j]||), which is the same and takes fewer
    passes over the layer.

    Args:
        weight: W.
        inputs: X, what the layer is given.
        outputs: Z = X W^T + b, what it returns; Y is what it would return without the bias.
        bias: b, none where None.
    """
    x, y = inputs.float(), outputs.float()
    if bias is not None:
        y = y - bias.float()
    input_norms, output_norms = _column_norms(x), _column_norms(y)
    if _multiplies_exactly(inputs, outputs):
        saliency = _products_of_halves(inputs, outputs)
        if bias is not None:
            # <X, Y> = <X, Z> - b <X, 1>; where Y is zero, what rounding leaves of this counts for nothing
            saliency.addcmul_(bias.float()[:, None], x.sum(dim=-2, keepdim=True), value=-1)
            output_norms.masked_fill_(output_norms == 0, torch.inf)
    else:
        saliency = y.mT @ x
    epsilons, output_norms = EPSILON / input_norms, output_norms.mT
    step = numbers_at_once(weight.device) // weight.shape[1] + 1
    for i in range(0, weight.shape[0], step):
        some = slice(i, i + step)
        saliency[..., some, :].div_(output_norms[..., some, :] + epsilons).mul_(weight[some]).abs_()
    return saliency


def numbers_at_once(device: torch.device) -> int:
    """Returns how many numbers are scored at once: on the CPU what its caches hold, elsewhere what keeps it busy."""
    return 2**19 if device.type == "cpu" else 2**24


def _column_norms(matrix: Float[Tensor, "*rows tokens columns"]) -> Float[Tensor, "*rows 1 columns"]:
    return matrix.square().sum(dim=-2, keepdim=True).sqrt_()  # many times faster than norm() over this dimension


def _multiplies_exactly(inputs: Tensor, outputs: Tensor) -> bool:
    """Says whether the device multiplies numbers of this half-precision type with sums in float32."""
    if inputs.dtype != outputs.dtype:
        return False
    if inputs.device.type == "cpu":
        return inputs.dtype == torch.bfloat16
    if inputs.device.type != "cuda" or torch.version.hip is not None:
        return False
    if inputs.dtype == torch.bfloat16:
        return torch.cuda.get_device_capability(inputs.device) >= (8, 0)
    return inputs.dtype == torch.float16 and not torch.backends.cuda.matmul.allow_fp16_accumulation


def _products_of_halves(inputs: Tensor, outputs: Tensor) -> Tensor:
    """<X[:,j], Z[:,i]> in float32, from numbers in half precision, several times faster than from float32.

    A product of two such numbers is a float32 number: nothing is rounded before the sums, which are in float32.
    """
    if inputs.device.type == "cuda":
        multiply = torch.mm if inputs.ndim == 2 else torch.bmm
        return multiply(outputs.mT, inputs, out_dtype=torch.float32)
    # For the whole process, while this lasts, float32 numbers are rounded to bfloat16 before they are multiplied. Those
    # here are bfloat16 already.
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        return outputs.float().mT @ inputs.float()
    finally:
        matmul.fp32_precision = before


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
                raise ValueError(
                    f"Layer {name} runs more than {layer.parts} times in a pass of the denoiser, so what it sees of a "
                    "prompt is unknown. Leave it out of the layers that are to be masked."
                )
            parts.append(layer.passed(args, output))
            if len(parts) < layer.parts:
                return
            (inputs, outputs), parts, done = _together(parts), [], True
            if len(inputs) != len(prompts):
                raise ValueError(f"Layer {name} was given {len(inputs)} rows for {len(prompts)} prompts.")
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
