"""One concept's sensitive neurons in one layer: integration over the steps and two top-k filters (Eq. 3-6).

The paper leaves three points open. We decide:
- The threshold of Eq. 3 is strict: connections equal to it do not count, unless `count_ties` is true.
- A share of n things is rounded to the nearest whole number. It is at least one if the ratio is above zero.
- A connection whose saliency is zero at every step is never selected, even if fewer than k others exist.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import DataError
from ..settings import Magnitude

SAMPLED = 2**16  # values in the sample that suggests a bound


def share(ratio: float, number: int) -> int:
    """Returns ratio * number as a whole number, at least 1 if the ratio is above zero."""
    return min(number, max(round(ratio * number), 1 if ratio > 0 else 0))


def active_connections(
    saliency: Float[Tensor, "outputs inputs"], temporal_ratio: float, *, count_ties: bool = False
) -> Tensor:
    """Marks the top r1 of a layer's connections at one step: 1[S > tau] of Eq. 3.

    tau is the largest value outside the top n = r1 * size (strict comparison). If ties count, it is the smallest value
    inside the top n. The results differ only if values at the boundary are equal. Zero saliency is never active.
    """
    number = share(temporal_ratio, saliency.numel())
    if number == 0:
        return torch.zeros_like(saliency, dtype=torch.bool)
    if number == saliency.numel():
        return saliency > 0
    if count_ties:
        return (saliency >= top(saliency, number)[0].min()) & (saliency > 0)
    return saliency > top(saliency, number + 1)[0].min()


def top(values: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Returns the `number` largest values, in no order, and their flat indices.

    torch.topk over all values would use only one core. So all cores first drop the values below a bound, which a sample
    suggests. If the bound leaves too few values, it is not used.
    """
    flat = values.flatten()
    stride = flat.numel() // SAMPLED
    if stride > 1:
        sample = flat[:: stride | 1]  # odd: the width of a layer is even, so the sample meets many columns
        of_sample = min(len(sample), 2 * number // stride + 64)  # twice the share, so that almost always enough is left
        above = (flat > sample.topk(of_sample, sorted=False).values.min()).nonzero().squeeze(1)
        if len(above) >= number:
            chosen = flat[above].topk(number, sorted=False)
            return chosen.values, above[chosen.indices]
    chosen = flat.topk(number, sorted=False)
    return chosen.values, chosen.indices


class TemporalIntegral:
    """The sums over the steps for Eq. 3: two tensors of the layer's shape, for any number of steps.

    Both are allocated at the start, before any short-lived tensors, so that the memory does not fragment.
    """

    def __init__(self, shape: tuple[int, ...], device: torch.device | None = None) -> None:
        """Starts with no step.

        Args:
            shape: (outputs, inputs) of the layer.
            device: the device that keeps the sums. None means the CPU.
        """
        self.steps = 0
        self.magnitude = torch.zeros(shape, device=device)
        self.frequency = torch.zeros(shape, device=device)

    def add(
        self, saliency: Float[Tensor, "outputs inputs"], temporal_ratio: float, *, count_ties: bool = False
    ) -> None:
        """Adds S of one more step."""
        active = active_connections(saliency, temporal_ratio, count_ties=count_ties)
        self.steps += 1
        self.magnitude += saliency.to(self.magnitude.device)
        self.frequency += active.to(self.frequency.device)

    def aggregate(self, magnitude: Magnitude = "raw") -> Float[Tensor, "outputs inputs"]:
        """Returns A = 1/2 mean_t S + 1/2 mean_t 1[S > tau_t] (Eq. 3).

        Args:
            magnitude: "raw" takes mean_t S as it is. "max" divides it by its largest value, so that both terms lie in
                [0, 1] for any scale of the activations.
        """
        mean = self.magnitude / self.steps
        if magnitude == "max":
            mean /= mean.max().clamp(min=torch.finfo(mean.dtype).tiny)
        return mean.add_(self.frequency, alpha=1 / self.steps).mul_(0.5)


def select_neurons(aggregated: Float[Tensor, "outputs inputs"], spatial_ratio: float) -> Int[Tensor, " neurons"]:
    """Returns the flat indices, ascending, of a concept's sensitive neurons in a layer (Eq. 4-6).

    They are in the top k = r2 * inputs of their row and in the top K = r2 * outputs * inputs of the layer. If values at
    a boundary are equal, torch.topk decides.

    Args:
        aggregated: A of Eq. 3, not negative.
        spatial_ratio: r2 in [0, 1].

    Raises:
        ValueError: if a value is not finite.
    """
    if not aggregated.sum().isfinite():
        raise DataError("The saliency is not finite: the model overflowed. Load it in float32 or bfloat16.")
    in_row = torch.zeros_like(aggregated, dtype=torch.bool)
    in_row.scatter_(1, aggregated.topk(share(spatial_ratio, aggregated.shape[1]), dim=1).indices, True)
    values, in_layer = top(aggregated, share(spatial_ratio, aggregated.numel()))
    chosen = in_layer[in_row.flatten()[in_layer] & (values > 0)]
    return chosen.sort().values
