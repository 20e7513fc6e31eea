"""Contrastive concept saliency: how much more a connection answers to the concept's prompts (Eq. 2)."""

import torch
from jaxtyping import Float
from torch import Tensor


class Moments:
    """Mean and standard deviation of equally shaped tensors that arrive a few at a time, in float32.

    Welford's update: no cancellation, and memory for two tensors however many arrive.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.empty(0)
        self.squares: Tensor = torch.empty(0)

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Takes some more; their memory may be reused, and they must not be used afterwards."""
        for value in values:
            self.count += 1
            if self.count == 1:
                self.mean, self.squares = value.clone(), torch.zeros_like(value)
                continue
            delta = value - self.mean
            self.mean.add_(delta, alpha=1 / self.count)
            self.squares.addcmul_(delta, value.sub_(self.mean))

    @property
    def std(self) -> Tensor:
        """The population's standard deviation (divided by n): zero for one sample, where n - 1 would be undefined."""
        return (self.squares / self.count).sqrt_()


class Mean:
    """Mean of equally shaped tensors that arrive a few at a time, in float32."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: Tensor = torch.empty(0)

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Takes some more."""
        added = values.sum(dim=0)
        self.sum = added if self.count == 0 else self.sum.add_(added)
        self.count += len(values)

    @property
    def value(self) -> Tensor:
        """The mean of those that arrived."""
        return self.sum / self.count


def contrastive_saliency(
    concept_mean: Float[Tensor, "outputs inputs"], base_mean_and_std: Float[Tensor, "outputs inputs"]
) -> Float[Tensor, "outputs inputs"]:
    """S = max(0, mean_c U - (mean_b U + std_b U)), one layer and step (Eq. 2)."""
    return (concept_mean - base_mean_and_std).clamp_(min=0)
