"""MaskContents: what a mask holds, and all that follows from it without a model."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from torch import Tensor

from ..concepts import Kind
from .fusion import agnostic_threshold, count_claims, fuse, strongest
from .pruning import fingerprint

MOST_NAMED = 5  # concepts in the short description


@dataclass(frozen=True, eq=False, repr=False)
class MaskContents:
    """The neurons of each concept, the rule that fuses them, and how they were found.

    Attributes:
        neurons: for each concept and layer, flat indices (output * inputs + input) of its sensitive neurons, ascending.
        shapes: (outputs, inputs) of every maskable layer of the model.
        agnostic_ratio: alpha of the fusion rule (Eq. 8).
        architecture: class name of the denoiser.
        denoiser_parameters: number of all parameters of the denoiser.
        weights_hash: of the maskable layers that the neurons were found in (`layers.hash_weights`).
        strengths: what share of its neurons' weights a concept takes away, in (0, 1]; 1 where none is given.
        layer_pattern: of the names by which the layers were chosen; None for every feed-forward's second linear.
        provenance: how the neurons were found, a record for each finding: the model, concepts with prompts and seeds,
            settings, versions. Plain JSON.
    """

    neurons: dict[str, dict[str, Tensor]]
    shapes: dict[str, tuple[int, int]]
    agnostic_ratio: float
    architecture: str
    denoiser_parameters: int
    weights_hash: str
    strengths: dict[str, float] = field(default_factory=dict)
    layer_pattern: str | None = None
    provenance: list[dict[str, Any]] = field(default_factory=list)

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the concepts, in the order they were given."""
        return tuple(self.neurons)

    @cached_property
    def pruned(self) -> dict[str, Tensor]:
        """Flat indices of the connections to prune in each layer: the fusion of the concepts' neurons."""
        return {name: fuse(self._claims(name), self.agnostic_ratio) for name in self.shapes}

    @cached_property
    def remaining(self) -> dict[str, Tensor] | None:
        """What share of each pruned weight is left, float32, in the order of `pruned`; None where it is nothing.

        A connection that several concepts claim is pruned as the strongest of them says.
        """
        strengths = [self.strengths.get(name, 1.0) for name in self.neurons]
        if all(strength == 1 for strength in strengths):
            return None
        return {name: 1 - strongest(self._claims(name), strengths, pruned) for name, pruned in self.pruned.items()}

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of sensitive neurons of each concept."""
        return {name: sum(map(len, layers.values())) for name, layers in self.neurons.items()}

    @property
    def number_pruned(self) -> int:
        """Number of connections that are pruned."""
        return sum(len(indices) for indices in self.pruned.values())

    @property
    def number_spared(self) -> int:
        """Number of connections that are spared because many concepts claim them."""
        return sum(int((count_claims(self._claims(name)) > 0).sum()) for name in self.shapes) - self.number_pruned

    @property
    def agnostic_threshold(self) -> int:
        """Number of concepts that must claim a connection for it to be spared (tau_ca of Eq. 8)."""
        return agnostic_threshold(self.agnostic_ratio, len(self.neurons))

    @property
    def sparsity(self) -> float:
        """Pruned share of the maskable layers' weights, in [0, 1]."""
        return self.number_pruned / sum(outputs * inputs for outputs, inputs in self.shapes.values())

    @property
    def layer_sparsity(self) -> dict[str, float]:
        """Pruned share of each layer's weights, in [0, 1]."""
        return {name: len(self.pruned[name]) / (outputs * inputs) for name, (outputs, inputs) in self.shapes.items()}

    @property
    def denoiser_sparsity(self) -> float:
        """Pruned share of all parameters of the denoiser, in [0, 1]."""
        return self.number_pruned / self.denoiser_parameters

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the mask does to its model; masks with the same one are interchangeable."""
        return fingerprint(self.pruned, self.remaining)

    @property
    def model(self) -> str:
        """Name of the model that the neurons were found in."""
        return self.provenance[0].get("model", "unknown") if self.provenance else "unknown"

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The different settings that the neurons were found with."""
        found = [record["settings"] for record in self.provenance if "settings" in record]
        return [settings for i, settings in enumerate(found) if settings not in found[:i]]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of each concept, an object where its finding does not say."""
        found = {concept["name"]: concept for record in self.provenance for concept in record["concepts"]}
        kinds = {name: found.get(name, {}).get("kind") for name in self.neurons}
        return {name: kind if kind in get_args(Kind) else "object" for name, kind in kinds.items()}

    def _claims(self, layer: str) -> list[Tensor]:
        """Returns each concept's neurons of a layer."""
        return [layers[layer] for layers in self.neurons.values()]

    def __repr__(self) -> str:
        """Returns one line: the concepts, the layers, the share that is pruned, and the model."""
        named = ", ".join(map(repr, self.concepts[:MOST_NAMED])) or "nothing"
        more = f" and {len(self.concepts) - MOST_NAMED} more" if len(self.concepts) > MOST_NAMED else ""
        return (
            f"<{type(self).__name__} without {named}{more}: {self.sparsity:.2%} of {len(self.shapes)} layers, "
            f"{self.denoiser_sparsity:.3%} of the {self.architecture} of {self.model}>"
        )
