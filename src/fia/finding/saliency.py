"""How strongly a connection answers to a prompt (Eq. 1), and how much more to the concept's prompts (Eq. 2)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-8
Measure = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]  # takes W, X, Z and b, like `connection_saliency`


def connection_saliency(
    weight: Float[Tensor, "outputs inputs"],
    inputs: Float[Tensor, "*rows tokens inputs"],
    outputs: Float[Tensor, "*rows tokens outputs"],
    bias: Float[Tensor, " outputs"] | None = None,
) -> Float[Tensor, "*rows outputs inputs"]:
    """Scores every connection of a linear layer for one prompt, or for each of several (Eq. 1), in float32.

    U[i,j] = |W[i,j]| * ||X[:,j]|| * |<X[:,j], Y[:,i]>| / (||X[:,j]|| * ||Y[:,i]|| + eps)

    We compute |W[i,j] * <X[:,j], Y[:,i]>| / (||Y[:,i]|| + eps / ||X[:,j]||), which is equal and takes fewer passes over
    the layer.

    Args:
        weight: W.
        inputs: X, the inputs of the layer.
        outputs: Z = X W^T + b, the outputs of the layer. Y = X W^T is the output without the bias.
        bias: b. None means that there is no bias.
    """
    x, y = inputs.float(), outputs.float()
    if bias is not None:
        y = y - bias.float()
    input_norms, output_norms = _column_norms(x), _column_norms(y)
    if _multiplies_halves(inputs, outputs):
        multiply = torch.mm if inputs.ndim == 2 else torch.bmm
        saliency = multiply(outputs.mT, inputs, out_dtype=torch.float32)
        if bias is not None:
            # <X, Y> = <X, Z> - b <X, 1>. If Y is zero, only a rounding error is left, and infinity makes it count as 0.
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
    """Returns how many numbers to score at once: what the caches of a CPU hold, or what keeps a GPU busy."""
    return 2**19 if device.type == "cpu" else 2**24


def _column_norms(matrix: Float[Tensor, "*rows tokens columns"]) -> Float[Tensor, "*rows 1 columns"]:
    return matrix.square().sum(dim=-2, keepdim=True).sqrt_()  # many times faster than norm() over dim=-2


def _multiplies_halves(inputs: Tensor, outputs: Tensor) -> bool:
    """Says whether the device multiplies numbers of this half-precision type and sums the products in float32.

    float32 holds a product of two such numbers exactly, so nothing is rounded before the sum.
    """
    if inputs.dtype != outputs.dtype or inputs.device.type != "cuda" or torch.version.hip is not None:
        return False
    if inputs.dtype == torch.bfloat16:
        return torch.cuda.get_device_capability(inputs.device) >= (8, 0)
    return inputs.dtype == torch.float16 and not torch.backends.cuda.matmul.allow_fp16_accumulation


def contrastive_saliency(
    concept_mean: Float[Tensor, "outputs inputs"], base_mean_plus_std: Float[Tensor, "outputs inputs"]
) -> Float[Tensor, "outputs inputs"]:
    """Returns S = max(0, mean_c U - (mean_b U + std_b U)) for one layer and step (Eq. 2)."""
    return (concept_mean - base_mean_plus_std).clamp_(min=0)
