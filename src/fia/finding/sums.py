"""Collects, as activations arrive, what Eq. 2 and 3 need of a group of concepts that share their base prompts.

At every step the rows come in a fixed order: the base prompts, then the prompts of one concept after another. So each
layer needs the base prompts' moments and one concept's mean at a time, and two sums over steps for every concept:
nothing grows with the number of steps or prompts.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import DataError
from .neurons import TemporalIntegral
from .saliency import contrastive_saliency


class LayerStatistics:
    """The running sums of one layer."""

    def __init__(self, shape: tuple[int, int], number_of_concepts: int, device: torch.device | None) -> None:
        self.base = Moments()
        self.base_mean_plus_std: Tensor | None = None  # while the prompts of concepts arrive
        self.concept = Mean()
        self.integrals = [TemporalIntegral(shape, device) for _ in range(number_of_concepts)]


class GroupStatistics:
    """Receives connection saliency as rows arrive and integrates the contrastive saliency of every concept.

    Row r of a step belongs to base prompt r where r < P, and otherwise to prompt (r mod P) of concept (r // P - 1).
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        temporal_ratios: Sequence[float],
        prompts_per_concept: int,
        *,
        count_ties: bool,
        device: torch.device | None = None,
    ) -> None:
        """Prepares for P = prompts_per_concept base prompts and as many of each concept.

        Args:
            shapes: (outputs, inputs) of the layers, by name.
            temporal_ratios: r1 of each concept.
            count_ties: see `active_connections`.
            device: where the sums over steps are kept; the CPU where None.
        """
        concepts = len(temporal_ratios)
        self.layers = {name: LayerStatistics(shape, concepts, device) for name, shape in shapes.items()}
        self.temporal_ratios = temporal_ratios
        self.prompts_per_concept = prompts_per_concept
        self.count_ties = count_ties

    def receive(self, layer: str, rows: range, saliency: Float[Tensor, "rows outputs inputs"]) -> None:
        """Takes U of some rows, whose memory is reused; rows of a layer come in ascending order at every step.

        Raises:
            ValueError: if a layer's saliency is not finite.
        """
        done = 0
        while done < len(rows):  # up to the last prompt of one concept, or of the base prompts, at a time
            concept, prompt = divmod(rows[done], self.prompts_per_concept)
            number = min(len(rows) - done, self.prompts_per_concept - prompt)
            is_last = prompt + number == self.prompts_per_concept
            self._add(layer, concept - 1, saliency[done : done + number], is_last=is_last)
            done += number

    def _add(self, layer: str, concept: int, saliency: Tensor, *, is_last: bool) -> None:
        statistics = self.layers[layer]
        if concept < 0:
            statistics.base.add(saliency)
            if is_last:
                statistics.base_mean_plus_std = self._finite(layer, statistics.base.mean_plus_std())
                statistics.base = Moments()
            return
        statistics.concept.add(saliency)
        if not is_last:
            return
        mean = self._finite(layer, statistics.concept.mean())
        statistics.concept = Mean()
        assert statistics.base_mean_plus_std is not None  # the base prompts come first
        contrast = contrastive_saliency(mean, statistics.base_mean_plus_std)
        if concept + 1 == len(statistics.integrals):
            statistics.base_mean_plus_std = None  # its memory is for the next layer's
        integral = statistics.integrals[concept]
        integral.add(contrast, self.temporal_ratios[concept], count_ties=self.count_ties)

    def _finite(self, layer: str, saliency: Tensor) -> Tensor:
        if saliency.sum().isfinite():
            return saliency
        step = self.layers[layer].integrals[-1].steps + 1
        raise DataError(
            f"The activations of layer {layer} are not finite at step {step}: the model overflowed. Load it in float32 "
            "or bfloat16."
        )


class Moments:
    """Mean and standard deviation of equally shaped tensors that arrive a few at a time, in float32.

    Welford's update: no cancellation, and memory for two tensors however many arrive. It is written for few passes and
    no memory in between: with delta = x - mean before, x - mean after is delta * (n - 1) / n.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | None = None
        self.squares: Tensor | None = None

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Takes some more; their memory is reused, and they must not be used afterwards."""
        for value in values:
            self.count += 1
            if self.mean is None or self.squares is None:
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
        assert self.mean is not None
        assert self.squares is not None
        return self.squares.div_(self.count).sqrt_().add_(self.mean)


class Mean:
    """Mean of equally shaped tensors that arrive a few at a time, in float32."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: Tensor | None = None

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Takes some more; their memory is reused, and they must not be used afterwards."""
        added = values[0] if len(values) == 1 and _is_all_of_its_memory(values) else values.sum(dim=0)
        self.sum = added if self.sum is None else self.sum.add_(added)
        self.count += len(values)

    def mean(self) -> Tensor:
        """Returns the mean of those that arrived, in the memory of the sum: nothing can be added afterwards."""
        assert self.sum is not None
        return self.sum.div_(self.count)


def _is_all_of_its_memory(values: Tensor) -> bool:
    """Says whether keeping a tensor keeps no other values, those of a batch that it is a part of."""
    return values.nbytes == values.untyped_storage().nbytes()
