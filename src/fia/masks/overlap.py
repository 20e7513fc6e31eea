"""How many neurons concepts share: intersection over union (IoU).

Concepts that share many neurons harm each other. Forgetting one also prunes a part of the other, unless so many
concepts claim a neuron that it is spared (Eq. 8).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from ..errors import UsageError
from ..files import written_whole
from .mask import NeuronMask

MOST_LABELLED = 40  # concepts; with more, the numbers in the heat map are too small to read
MOST_COMPARED = 400  # concepts; the time grows with their square
DARKEST = 20.0  # percent, at least; otherwise concepts that share few neurons would look as if they shared many


def overlap(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> float:
    """Returns the IoU of two concepts' neurons, in percent; 0 if neither has any.

    Args:
        one: flat indices of a concept's neurons for each layer.
        two: the same for the other concept.
    """
    return _over_union(sum(len(np.intersect1d(one[name], two[name], assume_unique=True)) for name in one), one, two)


def overlap_by_chance(
    one: Mapping[str, Tensor], two: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, int]]
) -> float:
    """Returns the IoU, in percent, to expect of random choices of as many neurons in every layer."""
    shared = sum(len(one[name]) * len(two[name]) / (outputs * inputs) for name, (outputs, inputs) in shapes.items())
    return _over_union(shared, one, two)


def _over_union(shared: float, one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> float:
    total = sum(map(len, one.values())) + sum(map(len, two.values())) - shared
    return 100 * shared / total if total else 0.0


def overlap_matrix(mask: NeuronMask) -> Float[np.ndarray, "concepts concepts"]:
    """Returns the IoU of every pair of concepts of a mask, in percent, in the order of its concepts."""
    number = len(mask.concepts)
    shared = np.zeros((number, number))
    for layer, (outputs, inputs) in mask.shapes.items():
        claims = [layers[layer].numpy() for layers in mask.neurons.values()]
        claimed = np.zeros(outputs * inputs, dtype=bool)
        for i, indices in enumerate(claims):
            claimed[indices] = True
            for j in range(i, number):
                shared[i, j] += np.count_nonzero(claimed[claims[j]])
            claimed[indices] = False
    shared = np.maximum(shared, shared.T)
    sizes = shared.diagonal()
    total = sizes[:, None] + sizes[None, :] - shared
    return 100 * np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)


def closest_pairs(mask: NeuronMask, at_most: int = 10) -> list[tuple[str, str, float, float]]:
    """Returns the pairs of concepts with the largest IoU: both names, the IoU, and the IoU by chance, in percent.

    Of more than MOST_COMPARED concepts, it returns no pair.
    """
    if len(mask.concepts) > MOST_COMPARED:
        return []
    matrix, names = overlap_matrix(mask), mask.concepts
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    pairs.sort(key=lambda pair: -matrix[pair])
    return [
        (
            names[j],
            names[i],
            float(matrix[i, j]),
            overlap_by_chance(mask.neurons[names[i]], mask.neurons[names[j]], mask.shapes),
        )
        for i, j in pairs[:at_most]
    ]


def heat_map(mask: NeuronMask) -> Figure:
    """Returns a picture of the IoU of every pair of concepts. Leaves out each concept with itself."""
    matrix, number = overlap_matrix(mask), len(mask.concepts)
    shown = np.where(np.eye(number, dtype=bool), np.nan, matrix)
    labelled = number <= MOST_LABELLED
    side = max(2.0, 0.42 * number if labelled else 12)
    figure = Figure(figsize=(side + 2.4, side + 1.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=max(DARKEST, float(np.nanmax(shown, initial=0))))
    plain = {"parse_math": False}  # a name may hold a $
    axes.set_xticks(range(number), mask.concepts, rotation=45, ha="right", rotation_mode="anchor", **plain)
    axes.set_yticks(range(number), mask.concepts, **plain)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if labelled:
        middle = image.norm.vmax / 2  # type: ignore[operator]
        for (i, j), value in np.ndenumerate(shown):
            if i != j:
                colour = "white" if value > middle else "black"
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_title("Neurons that two concepts share, IoU in %", loc="left", fontsize=11)
    if not labelled:
        figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


def draw_heat_map(mask: NeuronMask, file: Path) -> None:
    """Writes the heat map as a picture. The file's name decides the kind: .png, .svg, .pdf or .webp.

    Raises:
        ValueError: if the name ends in something else, or the mask holds more than MOST_COMPARED concepts.
    """
    kind = file.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf", "webp"):
        raise UsageError(f"{file} is not the name of a picture; end it in .png, .svg, .pdf or .webp.")
    if len(mask.concepts) > MOST_COMPARED:
        raise UsageError(
            f"The mask holds {len(mask.concepts)} concepts, too many for a heat map; take at most {MOST_COMPARED}: "
            "mask.only(...)."
        )
    with written_whole(file) as partial:
        heat_map(mask).savefig(partial, format=kind, dpi=150)
