"""NeuronMask: the neurons of each concept, the rule that fuses them, and what can be done with the result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from . import edit, maskfile
from .fusion import agnostic_threshold, fuse
from .layers import get_denoiser, layer_shapes, maskable_layers


@dataclass(frozen=True, eq=False)
class NeuronMask:
    """Which connections of a denoiser to prune so that it forgets some concepts.

    Attributes:
        neurons: for each concept and layer, flat indices (output * inputs + input) of its sensitive neurons, ascending.
        shapes: (outputs, inputs) of every maskable layer of the model.
        agnostic_ratio: alpha of the fusion rule (Eq. 8).
        architecture: class name of the denoiser.
        denoiser_parameters: number of all parameters of the denoiser.
        provenance: how the mask was made: concepts with prompts and seeds, settings, versions. Plain JSON.
    """

    neurons: dict[str, dict[str, Tensor]]
    shapes: dict[str, tuple[int, int]]
    agnostic_ratio: float
    architecture: str
    denoiser_parameters: int
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the concepts, in the order they were given."""
        return tuple(self.neurons)

    @cached_property
    def pruned(self) -> dict[str, Tensor]:
        """Flat indices of the connections to prune in each layer: the fusion of the concepts' neurons."""
        if not self.neurons:
            return {name: torch.empty(0, dtype=torch.int32) for name in self.shapes}
        return {
            name: fuse([layers[name] for layers in self.neurons.values()], self.agnostic_ratio) for name in self.shapes
        }

    @property
    def number_pruned(self) -> int:
        """Number of connections that are pruned."""
        return sum(len(indices) for indices in self.pruned.values())

    @property
    def number_spared(self) -> int:
        """Number of connections that are spared because many concepts claim them."""
        claimed = (torch.cat([layers[name] for layers in self.neurons.values()]) for name in self.shapes)
        return sum(len(indices.unique()) for indices in claimed) - self.number_pruned if self.neurons else 0

    @property
    def agnostic_threshold(self) -> int:
        """Number of concepts that must claim a connection for it to be spared (tau_ca of Eq. 8)."""
        return agnostic_threshold(self.agnostic_ratio, len(self.neurons))

    @property
    def sparsity(self) -> float:
        """Pruned share of the maskable layers' weights, in [0, 1]."""
        return self.number_pruned / sum(outputs * inputs for outputs, inputs in self.shapes.values())

    @property
    def denoiser_sparsity(self) -> float:
        """Pruned share of all parameters of the denoiser, in [0, 1]."""
        return self.number_pruned / self.denoiser_parameters

    def without(self, *names: str) -> "NeuronMask":
        """Returns the mask for the other concepts, fused anew with the same alpha; the model is not needed.

        Raises:
            ValueError: for a name that is not among the mask's concepts.
        """
        for name in names:
            if name not in self.neurons:
                raise ValueError(f"{name!r} is not in this mask, which holds: {', '.join(self.concepts) or 'nothing'}.")
        kept = {name: layers for name, layers in self.neurons.items() if name not in names}
        made = [concept for concept in self.provenance.get("concepts", []) if concept["name"] not in names]
        provenance = self.provenance | ({"concepts": made} if "concepts" in self.provenance else {})
        return replace(self, neurons=kept, provenance=provenance)

    def apply(self, pipe: DiffusionPipeline) -> None:
        """Zeroes the pruned connections of the pipeline's denoiser in place. Applying it again changes nothing.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown, or its layers are quantised or wrapped.
            ValueError: if the denoiser has another architecture or other shapes, is offloaded, or carries the edit of
                another mask. The model is then unchanged.
        """
        self._check_fits(pipe)
        if self.is_applied(pipe):
            edit.warn_if_overwritten(get_denoiser(pipe), "They are zeroed again; what was written there is lost.")
        edit.prune(get_denoiser(pipe), self.pruned, ", ".join(self.concepts) or "nothing")

    def remove(self, pipe: DiffusionPipeline) -> None:
        """Gives every pruned connection its original value back, bit for bit.

        Raises:
            ValueError: if this mask is not applied to the pipeline.
        """
        denoiser = get_denoiser(pipe)
        present = edit.current_edit(denoiser)
        if present is None:
            raise ValueError(
                "No mask is applied to this pipeline. The original weights stay with the model that was edited; a "
                "model that was saved after the edit and loaded again no longer has them."
            )
        if not self.is_applied(pipe):
            raise ValueError(f"Another mask ({present.label}) is applied to this pipeline; remove that one.")
        edit.warn_if_overwritten(
            denoiser,
            "They get their values from before the mask. An adapter fused since then must be unfused before the "
            "mask is removed, or unfusing it will change them again.",
        )
        edit.restore(denoiser)

    def is_applied(self, pipe: DiffusionPipeline) -> bool:
        """Returns whether an equal mask is applied to the pipeline."""
        present = edit.current_edit(get_denoiser(pipe))
        return present is not None and present.fingerprint == edit.fingerprint(self.pruned)

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Applies the mask within a `with` block; leaving it, also by an exception, restores the state before."""
        denoiser, was_applied = get_denoiser(pipe), self.is_applied(pipe)
        self.apply(pipe)
        try:
            yield pipe
        finally:
            if not was_applied:
                edit.restore(denoiser)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the mask to a folder: `neurons.safetensors`, a readable `config.json`, and a model card."""
        maskfile.save(self, Path(folder))

    @classmethod
    def from_pretrained(cls, folder_or_repo: str | Path) -> "NeuronMask":
        """Reads a mask from a folder, or from a repository of the Hugging Face Hub.

        Raises:
            FileNotFoundError: if there is no mask.
            ValueError: if its file is cut off, altered, or not a mask.
        """
        return cls(**maskfile.load(folder_or_repo))

    def _check_fits(self, pipe: DiffusionPipeline) -> None:
        """Raises ValueError unless the pipeline's denoiser has the mask's architecture and shapes."""
        denoiser = get_denoiser(pipe)
        if type(denoiser).__name__ != self.architecture:
            raise ValueError(f"The mask is for a {self.architecture}, but the model is a {type(denoiser).__name__}.")
        shapes = layer_shapes(maskable_layers(denoiser))
        for name in sorted(shapes.keys() | self.shapes.keys()):
            mine, theirs = self.shapes.get(name), shapes.get(name)
            if mine != theirs:
                raise ValueError(
                    f"The mask is for another model: layer {name} is {_shape_text(mine)} in the mask and "
                    f"{_shape_text(theirs)} in the model. A mask fits models of the size it was found on."
                )


def _shape_text(shape: tuple[int, int] | None) -> str:
    return "missing" if shape is None else f"{shape[0]} x {shape[1]}"
