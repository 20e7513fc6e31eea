"""Collects the sums for Eq. 2 and 3 while activations arrive, for a group of concepts that share their base prompts.

At every step the rows come in a fixed order: the base prompts, then the prompts of one concept after another. So each
layer needs the moments of the base prompts, the mean of one concept at a time, and two sums over the steps for every
concept. Nothing grows with the number of steps or prompts.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import DataError
from .neurons import TemporalIntegral
from .saliency import contrastive_saliency


class LayerStatistics:
    """The running sums of one layer."""

    def __init__(self, integrals: list[TemporalIntegral]) -> None:
        self.base = Moments()
        self.base_mean_plus_std: Tensor | None = None  # set while the prompts of concepts arrive
        self.concept = Mean()
        self.integrals = integrals


def by_source(rows: range, prompts: int) -> Iterator[tuple[int, range, slice]]:
    """Splits the rows of a step where the prompts of one source end and those of the next one start.

    Args:
        rows: consecutive rows. Row r is prompt (r mod P) of source (r // P).
        prompts: P, the number of prompts of each source.

    Yields:
        The source, its prompts among the rows, and their places in `rows`.
    """
    done = 0
    while done < len(rows):
        source, first = divmod(rows[done], prompts)
        number = min(len(rows) - done, prompts - first)
        yield source, range(first, first + number), slice(done, done + number)
        done += number


class GroupStatistics:
    """Receives the connection saliency of rows, and integrates the contrastive saliency of every concept.

    Row r of a step belongs to base prompt r if r < P, and otherwise to prompt (r mod P) of concept (r // P - 1).
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        temporal_ratios: Sequence[float],
        prompts_per_concept: int,
        *,
        count_ties: bool,
        device: torch.device | None = None,
        integral: type[TemporalIntegral] = TemporalIntegral,
    ) -> None:
        """Starts with no step.

        Args:
            shapes: (outputs, inputs) of the layers, by name.
            temporal_ratios: r1 of each concept.
            prompts_per_concept: P, the number of base prompts, and of prompts of each concept.
            count_ties: see `active_connections`.
            device: the device that keeps the sums over the steps. None means the CPU.
            integral: keeps the sums of one concept in one layer.
        """
        self.layers = {
            name: LayerStatistics([integral(shape, device) for _ in temporal_ratios]) for name, shape in shapes.items()
        }
        self.temporal_ratios = temporal_ratios
        self.prompts_per_concept = prompts_per_concept
        self.count_ties = count_ties

    def receive(self, layer: str, rows: range, saliency: Float[Tensor, "rows outputs inputs"]) -> None:
        """Takes U of some rows and reuses its memory.

        Args:
            layer: name of the layer.
            rows: the rows, which come in ascending order for each layer and step.
            saliency: U of these rows.

        Raises:
            ValueError: if a layer's saliency is not finite.
        """
        for source, prompts, part in by_source(rows, self.prompts_per_concept):
            self._add(layer, source - 1, saliency[part], is_last=prompts.stop == self.prompts_per_concept)

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
            statistics.base_mean_plus_std = None  # frees the memory for the next layer
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
    """Mean and standard deviation of tensors of one shape that arrive a few at a time, in float32.

    Welford's update avoids cancellation and needs memory for two tensors, however many arrive. To save passes and
    temporary memory, it uses that x - (mean after) = delta * (n - 1) / n with delta = x - (mean before).
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | None = None
        self.squares: Tensor | None = None

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Adds some values and reuses their memory. Do not use them afterwards."""
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
        """Returns mean + standard deviation for Eq. 2, in the memory of the sums. Add nothing afterwards.

        The standard deviation is that of the population (divided by n). It is zero for one sample, for which a division
        by n - 1 is undefined.
        """
        assert self.mean is not None
        assert self.squares is not None
        return self.squares.div_(self.count).sqrt_().add_(self.mean)


class Mean:
    """Mean of tensors of one shape that arrive a few at a time, in float32."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: Tensor | None = None

    def add(self, values: Float[Tensor, "rows ..."]) -> None:
        """Adds some values and reuses their memory. Do not use them afterwards."""
        added = values[0] if len(values) == 1 and _is_all_of_its_memory(values) else values.sum(dim=0)
        self.sum = added if self.sum is None else self.sum.add_(added)
        self.count += len(values)

    def mean(self) -> Tensor:
        """Returns the mean of the values, in the memory of the sum. Add nothing afterwards."""
        assert self.sum is not None
        return self.sum.div_(self.count)


def _is_all_of_its_memory(values: Tensor) -> bool:
    """Says whether a tensor owns all of its memory, and is not a part of a larger batch."""
    return values.nbytes == values.untyped_storage().nbytes()
