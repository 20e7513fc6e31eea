"""Collects, as activations arrive, what Eq. 2 and 3 need of a group of concepts that share their base prompts.

At every step the rows come in a fixed order: the base prompts, then the prompts of one concept after another. So each
layer needs the base prompts' moments and one concept's mean at a time, and two sums over steps for every concept:
nothing grows with the number of steps or prompts.
"""

from collections.abc import Sequence

from torch import Tensor

from .neurons import TemporalIntegral
from .saliency import Mean, Moments, contrastive_saliency


class LayerStatistics:
    """The running sums of one layer."""

    def __init__(self, number_of_concepts: int) -> None:
        self.base = Moments()
        self.concept = Mean()
        self.integrals = [TemporalIntegral() for _ in range(number_of_concepts)]


class GroupStatistics:
    """Receives connection saliency row by row and integrates the contrastive saliency of every concept.

    Row r of a step belongs to base prompt r where r < P, and otherwise to prompt (r mod P) of concept (r // P - 1).
    """

    def __init__(
        self, layers: Sequence[str], temporal_ratios: Sequence[float], prompts_per_concept: int, *, count_ties: bool
    ) -> None:
        """Prepares for P = prompts_per_concept base prompts and as many of each concept.

        Args:
            layers: names of the layers.
            temporal_ratios: r1 of each concept.
            count_ties: see `active_connections`.
        """
        self.layers = {name: LayerStatistics(len(temporal_ratios)) for name in layers}
        self.temporal_ratios = temporal_ratios
        self.prompts_per_concept = prompts_per_concept
        self.count_ties = count_ties

    def receive(self, layer: str, row: int, saliency: Tensor) -> None:
        """Takes U of one row (outputs, inputs); rows of a layer come in ascending order at every step."""
        statistics = self.layers[layer]
        concept, prompt = row // self.prompts_per_concept - 1, row % self.prompts_per_concept
        if concept < 0:
            if prompt == 0:
                statistics.base = Moments()
            statistics.base.add(saliency)
            return
        if prompt == 0:
            statistics.concept = Mean()
        statistics.concept.add(saliency)
        if prompt == self.prompts_per_concept - 1:
            contrast = contrastive_saliency(statistics.concept.value, statistics.base)
            statistics.integrals[concept].add(contrast, self.temporal_ratios[concept], count_ties=self.count_ties)
