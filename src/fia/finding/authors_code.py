"""Eq. 1-6 as the authors' code computes them (github.com/kaiyuan02415/Forget-It-All, May 2026): mode "authors-code".

The code departs from the paper:
- Eq. 1 has no cosine. Every token's row of X is divided by its norm. Then U[i,j] = |W[i,j]| ||X[:,j]||, over the tokens
  of both halves of the guidance.
- Eq. 2 is taken of the column norms across prompts, and |W| comes after it:
  S[i,j] = |W[i,j]| max(0, mean_c ||X[:,j]|| - mean_b ||X[:,j]|| - std_b ||X[:,j]||).
- In Eq. 3, tau is the smallest value in the top r1, and values must exceed it, so one fewer counts as active.
- All shares are rounded down, but to at least one, and a connection of zero saliency can be selected.

What it reads elsewhere: a step is a call of the denoiser, so that a timestep that the scheduler evaluates twice counts
twice; one seed for all prompts; the first term of Eq. 3 over its largest value. Here the noise comes from the CPU's
generator, and the prompts for explicit content name only adults.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import DataError
from ..models.layers import MaskableLayer
from .neurons import TemporalIntegral


def rounded_down(ratio: float, number: int) -> int:
    """Returns ratio * number without its fraction, at least 1."""
    return max(1, int(ratio * number))


def column_squares(
    _weight: Tensor, inputs: Float[Tensor, "rows tokens inputs"], _outputs: Tensor, _bias: Tensor | None
) -> Float[Tensor, "rows inputs"]:
    """Returns the squared column norms of X, each of whose rows is first divided by its norm, in float32.

    It takes the arguments of `connection_saliency`, whose place it takes.
    """
    return normalize(inputs.float(), dim=-1).square_().sum(dim=-2)


class ColumnSums:
    """The running sums of one layer."""

    def __init__(self, layer: MaskableLayer, concepts: int, device: torch.device | None) -> None:
        self.layer = layer
        self.squares: Tensor | None = None  # of each prompt at this step
        self.rows = 0  # that arrived at this step
        shape = (layer.out_features, layer.in_features)
        self.integrals = [TemporalIntegral(shape, device) for _ in range(concepts)]


class ColumnStatistics:
    """Receives the squared column norms of rows, and integrates the contrastive saliency of every concept.

    Prompts come as in `GroupStatistics`: base prompts, then the prompts of one concept after another.
    """

    def __init__(
        self,
        layers: Mapping[str, MaskableLayer],
        temporal_ratios: Sequence[float],
        prompts_per_concept: int,
        passes: int,
        *,
        device: torch.device | None = None,
    ) -> None:
        """Starts with no step.

        Args:
            layers: the layers, by name.
            temporal_ratios: r1 of each concept.
            prompts_per_concept: P, the number of base prompts, and of prompts of each concept.
            passes: number of rows of each prompt at a step: 2 with guidance, otherwise 1.
            device: the device that keeps the sums over the steps. None means the CPU.
        """
        self.layers = {name: ColumnSums(layer, len(temporal_ratios), device) for name, layer in layers.items()}
        self.temporal_ratios = temporal_ratios
        self.prompts = prompts_per_concept
        self.prompts_in_all = prompts_per_concept * (1 + len(temporal_ratios))
        self.passes = passes

    def receive(self, layer: str, rows: range, squares: Float[Tensor, "rows inputs"]) -> None:
        """Takes the squared column norms of some rows.

        Args:
            layer: name of the layer.
            rows: the prompts of the rows, consecutive.
            squares: see `column_squares`.

        Raises:
            ValueError: if they are not finite.
        """
        sums = self.layers[layer]
        if sums.squares is None:
            sums.squares = squares.new_zeros(self.prompts_in_all, squares.shape[1])
        sums.squares[rows.start : rows.stop] += squares
        sums.rows += len(rows)
        if sums.rows == self.passes * self.prompts_in_all:
            if not sums.squares.sum().isfinite():
                raise DataError(
                    f"The activations of layer {layer} are not finite at step {sums.integrals[0].steps + 1}: the model "
                    "overflowed. Load it in float32 or bfloat16."
                )
            self._end_step(sums, sums.squares.sqrt_().unflatten(0, (-1, self.prompts)))
            sums.squares, sums.rows = None, 0

    def _end_step(self, sums: ColumnSums, norms: Float[Tensor, "sources prompts inputs"]) -> None:
        magnitudes = sums.layer.weight.to(norms.device, torch.float32).abs()
        base = norms[0].mean(dim=0) + norms[0].std(dim=0, correction=0)
        for own, integral, ratio in zip(norms[1:], sums.integrals, self.temporal_ratios, strict=True):
            contrast = (own.mean(dim=0) - base).clamp_(min=0)
            active = rounded_down(ratio, magnitudes.numel()) - 1
            integral.add(magnitudes * contrast, active / magnitudes.numel())


def select_as_authors_code(
    aggregated: Float[Tensor, "outputs inputs"], spatial_ratio: float
) -> Int[Tensor, " neurons"]:
    """Returns the flat indices, ascending, of a concept's neurons in a layer (Eq. 4-6); see `select_neurons`."""
    chosen = torch.zeros_like(aggregated, dtype=torch.int8)
    in_row = aggregated.topk(rounded_down(spatial_ratio, aggregated.shape[1]), dim=1).indices
    in_layer = aggregated.flatten().topk(rounded_down(spatial_ratio, aggregated.numel())).indices
    chosen.scatter_(1, in_row, 1).flatten()[in_layer] += 1
    return (chosen.flatten() == 2).nonzero().squeeze(1)
