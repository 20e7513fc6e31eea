"""Contrastive concept saliency: how much more a connection answers to the concept's prompts (Eq. 2)."""

import torch
from jaxtyping import Float
from torch import Tensor


class Moments:
    """Mean and standard deviation of equally shaped tensors that arrive one by one, in float32.

    Welford's update: no cancellation, and memory for two tensors however many arrive.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.empty(0)
        self.squares: Tensor = torch.empty(0)

    def add(self, value: Tensor) -> None:
        """Takes one more tensor; it may be reused as memory and must not be used afterwards."""
        self.count += 1
        if self.count == 1:
            self.mean, self.squares = value, torch.zeros_like(value)
            return
        delta = value - self.mean
        self.mean.add_(delta, alpha=1 / self.count)
        self.squares.addcmul_(delta, value.sub_(self.mean))

    @property
    def std(self) -> Tensor:
        """The population's standard deviation (divided by n): zero for one sample, where n - 1 would be undefined."""
        return (self.squares / self.count).sqrt_()


class Mean:
    """Mean of equally shaped tensors that arrive one by one, in float32."""

    def __init__(self) -> None:
        self.count = 0
        self.value: Tensor = torch.empty(0)

    def add(self, value: Tensor) -> None:
        """Takes one more tensor; it may be reused as memory and must not be used afterwards."""
        self.count += 1
        self.value = value if self.count == 1 else self.value.lerp_(value, 1 / self.count)


def contrastive_saliency(
    concept_mean: Float[Tensor, "outputs inputs"], base: Moments
) -> Float[Tensor, "outputs inputs"]:
    """S = max(0, mean_c U - mean_b U - std_b U), one layer and step (Eq. 2)."""
    return (concept_mean - base.mean - base.std).clamp_(min=0)
