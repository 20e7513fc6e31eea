"""NeuronMask: the neurons of each concept, the rule that fuses them, and what can be done with the result."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from diffusers import DiffusionPipeline, ModelMixin
from torch import nn

from ..errors import UsageError
from ..models.pipelines import get_denoiser, get_known_denoiser
from . import file, hub, pruning
from .card import model_card
from .contents import MaskContents
from .file import EVIDENCE
from .file_checks import LARGEST_ALPHA
from .fit import check_fit, check_same_model


@dataclass(frozen=True, eq=False, repr=False)
class NeuronMask(MaskContents):
    """Which connections of a denoiser to prune so that it forgets some concepts; fields as in `MaskContents`."""

    def denoiser_of(self, pipe: DiffusionPipeline) -> ModelMixin:
        """Returns the network of a pipeline that the mask prunes.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown, and the layers were not chosen by hand.
        """
        return get_known_denoiser(pipe) if self.layer_pattern is None else get_denoiser(pipe)

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
            raise UsageError(
                f"The masks have different alphas, {self.agnostic_ratio:g} and {other.agnostic_ratio:g}. Give both the "
                "same first: mask.with_agnostic_ratio(alpha)."
            )
        twice = self.neurons.keys() & other.neurons.keys()
        if twice:
            names = ", ".join(repr(name) for name in self.neurons if name in twice)
            raise UsageError(f"Both masks hold {names}; take it out of one of them first: mask.without(...).")
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
        if not 0 <= agnostic_ratio <= LARGEST_ALPHA:
            raise UsageError(f"agnostic_ratio={agnostic_ratio}; it must be a number from 0 up, 1.1 for the union.")
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
                raise UsageError(f"strength {strength} of {name!r} is not in (0, 1]; use mask.without({name!r}) for 0.")
        return replace(self, strengths=self.strengths | dict(strengths))

    def check(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> None:
        """Raises what `apply` would raise, and changes nothing."""
        check_fit(self, self.denoiser_of(pipe), check_weights=check_weights)

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns the share of the denoiser's parameters that the mask changes, in percent."""
        return 100 * self.denoiser_sparsity

    def apply(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> None:
        """Prunes the connections of the pipeline's denoiser in place. Applying it again changes nothing.

        Args:
            pipe: to prune.
            check_weights: whether to refuse a denoiser whose maskable layers have other weights than those the neurons
                were found in, such as a fine-tuned one. In another type (float16) they are the same weights.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown, or its layers are quantised or wrapped.
            ValueError: if the denoiser has another architecture, other shapes or other weights, is offloaded, or
                carries another mask. The model is then unchanged.
        """
        denoiser = self.denoiser_of(pipe)
        layers = check_fit(self, denoiser, check_weights=check_weights)
        if self._is_on(denoiser):
            pruning.warn_if_overwritten(denoiser, "They are pruned again; what was written there is lost.")
        pruning.prune(denoiser, layers, self.pruned, ", ".join(self.concepts) or "nothing", self.remaining)

    def remove(self, pipe: DiffusionPipeline) -> None:
        """Gives every pruned connection its original value back, bit for bit.

        Raises:
            ValueError: if this mask is not applied to the pipeline.
        """
        denoiser = self.denoiser_of(pipe)
        present = pruning.current_pruning(denoiser)
        if present is None:
            raise UsageError(
                "No mask is applied to this pipeline. The original weights stay with the model that was edited; a "
                "model that was saved after the edit and loaded again no longer has them."
            )
        if not self._is_on(denoiser):
            raise UsageError(f"Another mask ({present.label}) is applied to this pipeline; remove that one.")
        pruning.warn_if_overwritten(
            denoiser,
            "They get their values from before the mask. An adapter fused since then must be unfused before the "
            "mask is removed, or unfusing it will change them again.",
        )
        pruning.restore(denoiser)

    def is_applied(self, pipe: DiffusionPipeline) -> bool:
        """Returns whether an equal mask is applied to the pipeline."""
        return self._is_on(self.denoiser_of(pipe))

    @contextmanager
    def applied(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> Iterator[DiffusionPipeline]:
        """Applies the mask within a `with` block; leaving it, also by an exception, restores the state before."""
        denoiser = self.denoiser_of(pipe)
        was_applied = self._is_on(denoiser)
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
        """Uploads the mask to a repository of the Hugging Face Hub, made if there is none, and returns its address.

        Args:
            repo_id: owner/name.
            private: whether a new repository is private; None leaves it to the owner's account.
            token: of the Hub; None takes the one that is logged in.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return hub.upload(
                Path(folder), repo_id, message=hub.commit_message(self), private=private, token=token, stale=[EVIDENCE]
            )

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
        return cls(**vars(file.load(folder_or_repo, **hub)))

    def _is_on(self, denoiser: nn.Module) -> bool:
        """Returns whether an equal mask is applied to a denoiser."""
        present = pruning.current_pruning(denoiser)
        return present is not None and present.fingerprint == self.fingerprint

    def _check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError for a name that is not among the concepts."""
        for name in names:
            if name not in self.neurons:
                raise UsageError(f"{name!r} is not in this mask, which holds: {', '.join(self.concepts) or 'nothing'}.")
