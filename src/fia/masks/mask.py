"""NeuronMask: the neurons of each concept, the rule that fuses them, and what can be done with the result."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from diffusers import DiffusionPipeline, ModelMixin
from torch import Tensor

from ..concepts import Kind
from ..models.layers import get_denoiser
from . import file, pruning
from .card import model_card
from .fit import check_fit, check_same_model
from .fusion import agnostic_threshold, count_claims, fuse, strongest


@dataclass(frozen=True, eq=False)
class NeuronMask:
    """Which connections of a denoiser to prune so that it forgets some concepts.

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
        return pruning.fingerprint(self.pruned, self.remaining)

    @property
    def model(self) -> str:
        """Name of the model that the neurons were found in."""
        return self.provenance[0].get("model", "unknown") if self.provenance else "unknown"

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The different settings that the neurons were found with."""
        found = [record["settings"] for record in self.provenance if "settings" in record]
        return [settings for i, settings in enumerate(found) if settings not in found[:i]]

    def denoiser_of(self, pipe: DiffusionPipeline) -> ModelMixin:
        """Returns the network of a pipeline that the mask prunes.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown, and the layers were not chosen by hand.
        """
        return get_denoiser(pipe, known=self.layer_pattern is None)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of each concept, an object where its finding does not say."""
        found = {concept["name"]: concept for record in self.provenance for concept in record["concepts"]}
        kinds = {name: found.get(name, {}).get("kind") for name in self.neurons}
        return {name: kind if kind in get_args(Kind) else "object" for name, kind in kinds.items()}

    def only(self, *names: str) -> "NeuronMask":
        """Returns the mask for these concepts alone, fused anew with the same alpha; the model is not needed.

        Raises:
            ValueError: for a name that is not among the mask's concepts.
        """
        self._check_names(names)
        records = [
            record | {"concepts": [concept for concept in record["concepts"] if concept["name"] in names]}
            for record in self.provenance
        ]
        return replace(
            self,
            neurons={name: layers for name, layers in self.neurons.items() if name in names},
            strengths={name: strength for name, strength in self.strengths.items() if name in names},
            provenance=[record for record in records if record["concepts"]],
        )

    def without(self, *names: str) -> "NeuronMask":
        """Returns the mask for the other concepts; see `only`."""
        self._check_names(names)
        return self.only(*(name for name in self.neurons if name not in names))

    def __or__(self, other: "NeuronMask") -> "NeuronMask":
        """Returns the mask for the concepts of both, fused anew; the model is not needed.

        Raises:
            ValueError: if they are of different models, have different alphas, or a concept of the same name.
        """
        check_same_model(self, other)
        if self.agnostic_ratio != other.agnostic_ratio:
            raise ValueError(
                f"The masks have different alphas, {self.agnostic_ratio:g} and {other.agnostic_ratio:g}. Give both the "
                "same first: mask.with_agnostic_ratio(alpha)."
            )
        twice = self.neurons.keys() & other.neurons.keys()
        if twice:
            names = ", ".join(repr(name) for name in self.neurons if name in twice)
            raise ValueError(f"Both masks hold {names}; take it out of one of them first: mask.without(...).")
        return replace(
            self,
            neurons=self.neurons | other.neurons,
            strengths=self.strengths | other.strengths,
            provenance=self.provenance + other.provenance,
        )

    def with_agnostic_ratio(self, agnostic_ratio: float) -> "NeuronMask":
        """Returns the same concepts fused with another alpha >= 0 (Eq. 8).

        Raises:
            ValueError: if it is negative, or absurdly large.
        """
        if not 0 <= agnostic_ratio <= file.LARGEST_ALPHA:
            raise ValueError(f"agnostic_ratio={agnostic_ratio}; it must be a number from 0 up, 1.1 for the union.")
        return replace(self, agnostic_ratio=float(agnostic_ratio))

    def with_strengths(self, strengths: Mapping[str, float]) -> "NeuronMask":
        """Returns the mask with other strengths for some concepts.

        Args:
            strengths: what share of its neurons' weights a concept takes away, in (0, 1], such as {"golf ball": 0.5}.

        Raises:
            ValueError: for a strength out of range, or a name that is not among the mask's concepts.
        """
        self._check_names(strengths)
        for name, strength in strengths.items():
            if not 0 < strength <= 1:
                raise ValueError(f"strength {strength} of {name!r} is not in (0, 1]; use mask.without({name!r}) for 0.")
        return replace(self, strengths=self.strengths | dict(strengths))

    def apply(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> None:
        """Prunes the connections of the pipeline's denoiser in place. Applying it again changes nothing.

        Args:
            pipe: to prune.
            check_weights: whether to refuse a denoiser whose maskable layers have other weights than those the neurons
                were found in, such as a fine-tuned one. In another type (float16) they are the same weights.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown, or its layers are quantised or wrapped.
            ValueError: if the denoiser has another architecture, other shapes or other weights, is offloaded, or
                carries the edit of another mask. The model is then unchanged.
        """
        check_fit(self, self.denoiser_of(pipe), check_weights=check_weights)
        if self.is_applied(pipe):
            pruning.warn_if_overwritten(
                self.denoiser_of(pipe), "They are pruned again; what was written there is lost."
            )
        pruning.prune(self.denoiser_of(pipe), self.pruned, ", ".join(self.concepts) or "nothing", self.remaining)

    def remove(self, pipe: DiffusionPipeline) -> None:
        """Gives every pruned connection its original value back, bit for bit.

        Raises:
            ValueError: if this mask is not applied to the pipeline.
        """
        denoiser = self.denoiser_of(pipe)
        present = pruning.current_edit(denoiser)
        if present is None:
            raise ValueError(
                "No mask is applied to this pipeline. The original weights stay with the model that was edited; a "
                "model that was saved after the edit and loaded again no longer has them."
            )
        if not self.is_applied(pipe):
            raise ValueError(f"Another mask ({present.label}) is applied to this pipeline; remove that one.")
        pruning.warn_if_overwritten(
            denoiser,
            "They get their values from before the mask. An adapter fused since then must be unfused before the "
            "mask is removed, or unfusing it will change them again.",
        )
        pruning.restore(denoiser)

    def is_applied(self, pipe: DiffusionPipeline) -> bool:
        """Returns whether an equal mask is applied to the pipeline."""
        present = pruning.current_edit(self.denoiser_of(pipe))
        return present is not None and present.fingerprint == self.fingerprint

    @contextmanager
    def applied(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> Iterator[DiffusionPipeline]:
        """Applies the mask within a `with` block; leaving it, also by an exception, restores the state before."""
        denoiser, was_applied = self.denoiser_of(pipe), self.is_applied(pipe)
        self.apply(pipe, check_weights=check_weights)
        try:
            yield pipe
        finally:
            if not was_applied:
                pruning.restore(denoiser)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the mask to a folder: `neurons.safetensors`, a readable `config.json`, and a model card."""
        file.save(self, Path(folder), card=model_card(self))

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Uploads the mask to a repository of the Hugging Face Hub and returns its address; see `publish.push`."""
        from ..export import publish

        return publish.push(self, repo_id, private=private, token=token)

    @classmethod
    def from_pretrained(cls, folder_or_repo: str | Path, **hub: Any) -> "NeuronMask":
        """Reads a mask from a folder, or from a repository of the Hugging Face Hub.

        Args:
            folder_or_repo: path, or owner/name.
            **hub: what `huggingface_hub.snapshot_download` takes, such as revision, token, cache_dir, local_files_only.

        Raises:
            FileNotFoundError: if there is no mask.
            ValueError: if its file is cut off, altered, or not a mask.
        """
        return cls(**file.load(folder_or_repo, **hub))

    def _claims(self, layer: str) -> list[Tensor]:
        """Returns each concept's neurons of a layer."""
        return [layers[layer] for layers in self.neurons.values()]

    def _check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError for a name that is not among the concepts."""
        for name in names:
            if name not in self.neurons:
                raise ValueError(f"{name!r} is not in this mask, which holds: {', '.join(self.concepts) or 'nothing'}.")
