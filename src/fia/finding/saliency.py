"""Contrastive concept saliency: how much more a connection answers to the concept's prompts (Eq. 2)."""

import torch
from jaxtyping import Float
from torch import Tensor


class Moments:
    """Mean and standard deviation of equally shaped tensors that arrive a few at a time, in float32.

    Welford's update: no cancellation, and memory for two tensors however many arrive. It is written for few passes and
    no memory in between: with delta = x - mean before, x - mean after is delta * (n - 1) / n.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.empty(0)
        self.squares: Tensor = torch.empty(0)

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Takes some more; their memory is reused, and they must not be used afterwards."""
        for value in values:
            self.count += 1
            if self.count == 1:
                self.mean = value if _is_all_of_its_memory(value) else value.clone()
                self.squares = torch.zeros_like(value)
                continue
            delta = value.sub_(self.mean)
            self.mean.add_(delta, alpha=1 / self.count)
            self.squares.addcmul_(delta, delta, value=1 - 1 / self.count)

    def mean_plus_std(self) -> Tensor:
        """Returns what Eq. 2 needs of the base prompts, in the memory of the sums: nothing can be added afterwards.

        The standard deviation is the population's (divided by n): zero for one sample, where n - 1 would be undefined.
        """
        return self.squares.div_(self.count).sqrt_().add_(self.mean)


class Mean:
    """Mean of equally shaped tensors that arrive a few at a time, in float32."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: Tensor = torch.empty(0)

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Takes some more; their memory is reused, and they must not be used afterwards."""
        added = values[0] if len(values) == 1 and _is_all_of_its_memory(values) else values.sum(dim=0)
        self.sum = added if self.count == 0 else self.sum.add_(added)
        self.count += len(values)

    def mean(self) -> Tensor:
        """Returns the mean of those that arrived, in the memory of the sum: nothing can be added afterwards."""
        return self.sum.div_(self.count)


def _is_all_of_its_memory(values: Tensor) -> bool:
    """Says whether keeping a tensor keeps no other values, those of a batch that it is a part of."""
    return values.nbytes == values.untyped_storage().nbytes()


def contrastive_saliency(
    concept_mean: Float[Tensor, "outputs inputs"], base_mean_plus_std: Float[Tensor, "outputs inputs"]
) -> Float[Tensor, "outputs inputs"]:
    """S = max(0, mean_c U - (mean_b U + std_b U)), one layer and step (Eq. 2)."""
    return (concept_mean - base_mean_plus_std).clamp_(min=0)
