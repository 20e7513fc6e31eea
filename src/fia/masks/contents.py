"""MaskContents: what a mask holds, and what can be worked out from it without a model."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any, get_args

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from ..concepts import Kind
from ..settings import Sites, Value
from .fusion import agnostic_threshold, count_claims, fuse, strongest
from .pruning import fingerprint
from .rewriting import Effects, Rewriting

log = logging.getLogger("fia")

MOST_NAMED = 5  # concepts in the short description
MOST_LISTED = 20  # concepts in the table for notebooks


@dataclass(frozen=True, eq=False, repr=False)
class MaskContents:
    """The neurons of each concept, the rule that fuses them, and how they were found.

    Attributes:
        neurons: for each concept and layer, the flat indices (output * inputs + input) of its sensitive neurons,
            ascending.
        shapes: (outputs, inputs) of every maskable layer of the model.
        agnostic_ratio: alpha of the fusion rule (Eq. 8).
        architecture: class name of the denoiser.
        denoiser_parameters: number of parameters in the whole denoiser.
        weights_hash: hash of the maskable layers in which the neurons were found (`layers.hash_weights`).
        strengths: the share of its neurons' weights that a concept takes away, in (0, 1]. A concept without a strength
            has 1.
        layer_pattern: the pattern of names that chose the layers. None means those of `sites`.
        provenance: how the neurons were found, with one record for each run of `find`: the model, the concepts with
            their prompts and seeds, the settings, the versions. Plain JSON.
        sites: the places of the layers; see `models.layers.maskable_layers`.
        rewriting: what it takes to put new values into the neurons. None means that they become zero.
        smallest_threshold: the smallest threshold of the fusion rule: 2, or 1 for the rule of the authors' code.
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
    sites: Sites = "feed-forward"
    rewriting: Rewriting | None = None
    smallest_threshold: int = 2

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the concepts, in the order in which they were given."""
        return tuple(self.neurons)

    @cached_property
    def pruned(self) -> dict[str, Tensor]:
        """Flat indices of the connections to prune in each layer: the fusion of the concepts' neurons."""
        return {name: fuse(self._claims(name), self.agnostic_ratio, self.smallest_threshold) for name in self.shapes}

    @cached_property
    def remaining(self) -> dict[str, Tensor] | None:
        """The share of each pruned weight that is left, float32, in the order of `pruned`; None if nothing is left, or
        if the weights are rewritten.

        If several concepts claim a connection, the strongest of them decides.
        """
        strengths = [self.strengths.get(name, 1.0) for name in self.neurons]
        if self.rewriting is not None or all(strength == 1 for strength in strengths):
            return None
        return {name: 1 - strongest(self._claims(name), strengths, pruned) for name, pruned in self.pruned.items()}

    @property
    def edit(self) -> Value:
        """What happens to the neurons: "rewrite" gives them new values, "zero" sets them to zero."""
        return "zero" if self.rewriting is None else "rewrite"

    @cached_property
    def added(self) -> dict[str, Tensor] | None:
        """What is added to each pruned weight if the neurons are rewritten, float32, in the order of `pruned`.

        The model is not needed. It is solved when it is first used, and shows a progress bar if that takes time.

        Raises:
            ValueError: if a layer cannot be solved.
        """
        if self.rewriting is None:
            return None
        with tqdm(self.pruned.items(), desc="Solving", unit="layer", delay=2, leave=False) as layers:
            return {name: self.rewriting.solve(name, indices, self.strengths) for name, indices in layers}

    @cached_property
    def effects(self) -> Effects | None:
        """What the new values do, or None if the neurons become zero. It is solved when it is first used."""
        if self.rewriting is None or self.added is None or not self.concepts:
            return None
        return self.rewriting.effects(self.pruned, self.added)

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of sensitive neurons of each concept."""
        return {name: sum(map(len, layers.values())) for name, layers in self.neurons.items()}

    @property
    def number_pruned(self) -> int:
        """Number of pruned connections."""
        return sum(len(indices) for indices in self.pruned.values())

    @property
    def number_spared(self) -> int:
        """Number of connections that are spared because many concepts claim them (Eq. 8)."""
        return sum(len(count_claims(self._claims(name))[0]) for name in self.shapes) - self.number_pruned

    @property
    def spared_counts(self) -> dict[str, int]:
        """Number of each concept's neurons that are spared (Eq. 8)."""
        pruned = {layer: indices.numpy() for layer, indices in self.pruned.items()}
        return {
            name: sum(len(np.setdiff1d(own[layer].numpy(), pruned[layer], assume_unique=True)) for layer in self.shapes)
            for name, own in self.neurons.items()
        }

    @property
    def agnostic_threshold(self) -> int:
        """Number of concepts that must claim a connection for it to be spared (tau_ca of Eq. 8)."""
        return agnostic_threshold(self.agnostic_ratio, len(self.neurons), self.smallest_threshold)

    @property
    def sparsity(self) -> float:
        """Share of the maskable layers' weights that is pruned, in [0, 1]."""
        return self.number_pruned / sum(outputs * inputs for outputs, inputs in self.shapes.values())

    @property
    def layer_sparsity(self) -> dict[str, float]:
        """Share of each layer's weights that is pruned, in [0, 1]."""
        return {name: len(self.pruned[name]) / (outputs * inputs) for name, (outputs, inputs) in self.shapes.items()}

    @property
    def denoiser_sparsity(self) -> float:
        """Share of the denoiser's parameters that is pruned, in [0, 1]."""
        return self.number_pruned / self.denoiser_parameters

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the mask does to its model. Two masks with the same hash are interchangeable."""
        if self.rewriting is None:
            return fingerprint(self.pruned, self.remaining)
        return self.rewriting.fingerprint(fingerprint(self.pruned), self.strengths)

    @property
    def model(self) -> str:
        """Name of the model in which the neurons were found."""
        return self.provenance[0].get("model", "unknown") if self.provenance else "unknown"

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The settings with which the neurons were found, each different one once."""
        found = [record["settings"] for record in self.provenance if "settings" in record]
        return [settings for i, settings in enumerate(found) if settings not in found[:i]]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of each concept. It is "object" if the provenance does not say."""
        found = {concept["name"]: concept for record in self.provenance for concept in record["concepts"]}
        kinds = {name: found.get(name, {}).get("kind") for name in self.neurons}
        return {name: kind if kind in get_args(Kind) else "object" for name, kind in kinds.items()}

    @property
    def synonyms(self) -> dict[str, tuple[str, ...]]:
        """Other words with which each concept was found, too."""
        found = {concept["name"]: concept for record in self.provenance for concept in record["concepts"]}
        return {name: tuple(found.get(name, {}).get("synonyms", ())) for name in self.neurons}

    def warn_if_idle(self) -> None:
        """Warns of concepts whose neurons are mostly spared, and of a mask that changes nothing."""
        if self.concepts and not self.number_pruned:
            log.warning(f"The mask of {', '.join(self.concepts)} changes nothing in the model.")
        if self.agnostic_threshold > len(self.concepts):
            return  # nothing is spared
        counts = self.neuron_counts
        for name, spared in self.spared_counts.items():
            if spared > counts[name] / 2:
                log.warning(
                    f"{spared / counts[name]:.0%} of the neurons of {name!r} are spared, because "
                    f"{self.agnostic_threshold} or more concepts claim them, so it is hardly forgotten. Words for one "
                    'thing are one concept: "church|chapel". If these are different things that are much alike, spare '
                    "nothing: agnostic_ratio=1.1 (--agnostic-ratio 1.1)."
                )

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

    def _repr_html_(self) -> str:
        """Returns a short table for notebooks: each concept with its kind, neurons and strength."""
        counts, kinds = self.neuron_counts, self.kinds
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{kinds[name]}</td><td>{counts[name]:,}</td>"
            f"<td>{self.strengths.get(name, 1):g}</td></tr>"
            for name in self.concepts[:MOST_LISTED]
        )
        more = len(self.concepts) - MOST_LISTED
        rows += f"<tr><td>and {more:,} more</td></tr>" if more > 0 else ""
        return (
            "<table><tr><th>concept</th><th>kind</th><th>neurons</th><th>strength</th></tr>"
            f"{rows}</table><p>{escape(repr(self))}</p>"
        )
