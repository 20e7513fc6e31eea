"""NeuronMask: the neurons of each concept, the rule that fuses them, and what you can do with the result."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from diffusers import DiffusionPipeline, ModelMixin

from ..concepts import comparable
from ..errors import ArgumentError, UsageError
from ..models.lock import held
from ..models.pipelines import get_denoiser, get_known_denoiser
from ..settings import LARGEST_ALPHA, LARGEST_WEIGHT, Value
from . import file, hub, pruning
from .card import model_card
from .contents import MaskContents
from .file import BESIDE
from .fit import check_fit, check_same_model


@dataclass(frozen=True, eq=False, repr=False)
class NeuronMask(MaskContents):
    """Says which connections of a denoiser to prune so that it forgets some concepts. Fields: see `MaskContents`."""

    def denoiser_of(self, pipe: DiffusionPipeline) -> ModelMixin:
        """Returns the network of a pipeline that the mask prunes.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown and no pattern chose the layers.
        """
        return get_known_denoiser(pipe) if self.layer_pattern is None else get_denoiser(pipe)

    def only(self, *names: str) -> "NeuronMask":
        """Returns a mask for these concepts only, fused again with the same alpha. The model is not needed.

        Raises:
            ValueError: if the mask does not hold one of the names.
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
            rewriting=None if self.rewriting is None else self.rewriting.only(names),
            provenance=[record for record in records if record["concepts"]],
        )

    def without(self, *names: str) -> "NeuronMask":
        """Returns a mask for all concepts but these; see `only`."""
        self._check_names(names)
        return self.only(*(name for name in self.neurons if name not in names))

    def __or__(self, other: "NeuronMask") -> "NeuronMask":
        """Returns a mask for the concepts of both masks, fused again. The model is not needed.

        Raises:
            ValueError: if the masks are of different models, have different alphas, or share a name or synonym.
        """
        check_same_model(self, other)
        if self.agnostic_ratio != other.agnostic_ratio:
            raise UsageError(
                f"The masks have different alphas, {self.agnostic_ratio:g} and {other.agnostic_ratio:g}. Give them the "
                "same alpha first: mask.with_agnostic_ratio(alpha)."
            )
        if self.smallest_threshold != other.smallest_threshold:
            raise UsageError(
                "One of the masks was found with mode='authors-code', which has another rule of fusion. Find both in "
                "the same mode."
            )
        if self.edit != other.edit:
            raise UsageError(
                "One of the masks rewrites its neurons, and the other sets them to zero. Make both set them to zero "
                'first: mask.with_edit("zero").'
            )
        weights = {(own.retain_weight, own.ridge) for own in (self.rewriting, other.rewriting) if own is not None}
        if len(weights) > 1:
            raise UsageError(
                "The masks weigh differently what they retain. Give them the same weights first: "
                "mask.with_retain_weight(mu, ridge=...)."
            )
        theirs = {comparable(word) for name in other.neurons for word in (name, *other.synonyms[name])}
        twice = [name for name in self.neurons if theirs & set(map(comparable, (name, *self.synonyms[name])))]
        if twice:
            names = ", ".join(map(repr, twice))
            raise UsageError(f"Both masks hold {names}; take that out of one of them first: mask.without(...).")
        rewriting = None
        if self.rewriting is not None and other.rewriting is not None:
            rewriting = self.rewriting | other.rewriting
        return replace(
            self,
            neurons=self.neurons | other.neurons,
            strengths=self.strengths | other.strengths,
            rewriting=rewriting,
            provenance=self.provenance + other.provenance,
        )

    def with_agnostic_ratio(self, agnostic_ratio: float) -> "NeuronMask":
        """Returns a mask for the same concepts, fused with another alpha >= 0 (Eq. 8).

        Raises:
            ValueError: if alpha is negative or absurdly large.
        """
        if not 0 <= agnostic_ratio <= LARGEST_ALPHA:
            raise UsageError(f"agnostic_ratio={agnostic_ratio}; it must be at least 0. Use 1.1 for the union.")
        return replace(self, agnostic_ratio=float(agnostic_ratio))

    def with_edit(self, edit: Value) -> "NeuronMask":
        """Returns a mask for the same neurons that does something else to them.

        Args:
            edit: "zero" to set them to zero, as the paper does; "rewrite" to give them new values.

        Raises:
            ValueError: if the mask does not hold what it takes to rewrite.
        """
        if edit == "rewrite" and self.rewriting is None:
            raise UsageError(
                "The mask was found for zeros, and does not hold what it takes to rewrite. Find it again with "
                'edit="rewrite" (--edit rewrite).'
            )
        return replace(self, rewriting=self.rewriting if edit == "rewrite" else None)

    def with_retain_weight(self, retain_weight: float, *, ridge: float | None = None) -> "NeuronMask":
        """Returns a mask that weighs what it retains in another way (formula 10). The model is not needed.

        Args:
            retain_weight: mu > 0, the weight of what is retained against that of the concepts.
            ridge: lambda > 0, which keeps the new values near the old ones. None leaves it as it is.

        Raises:
            ValueError: if a weight is not above 0, or the mask does not rewrite.
        """
        if self.rewriting is None:
            raise UsageError("The mask sets its neurons to zero, so it has no weight of what it retains.")
        ridge = self.rewriting.ridge if ridge is None else ridge
        for name, value in (("retain_weight", retain_weight), ("ridge", ridge)):
            if not 0 < value <= LARGEST_WEIGHT:
                raise UsageError(f"{name}={value}; it must be above 0 and at most {LARGEST_WEIGHT:g}.")
        return replace(self, rewriting=replace(self.rewriting, retain_weight=float(retain_weight), ridge=float(ridge)))

    def with_strengths(self, strengths: Mapping[str, float]) -> "NeuronMask":
        """Returns a mask with other strengths for some concepts.

        Args:
            strengths: how much of its change each concept makes, in (0, 1], by the concept's name, such as
                {"golf ball": 0.5}. With zeros, that is the share of its neurons' weights that it takes away.

        Raises:
            ValueError: if a strength is out of range, or the mask does not hold one of the names.
        """
        self._check_names(strengths)
        for name, strength in strengths.items():
            if not 0 < strength <= 1:
                raise UsageError(f"strength {strength} of {name!r} is not in (0, 1]; use mask.without({name!r}) for 0.")
        return replace(self, strengths=self.strengths | dict(strengths))

    def check(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> None:
        """Raises the errors that `apply` would raise, but changes nothing."""
        denoiser = self.denoiser_of(pipe)
        with held(denoiser):
            check_fit(self, denoiser, check_weights=check_weights)

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns the share of the denoiser's parameters that the mask changes, in percent."""
        return 100 * self.denoiser_sparsity

    def apply(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> None:
        """Prunes the connections of the pipeline's denoiser in place. Applying the same mask again changes nothing.

        Args:
            pipe: the pipeline to prune.
            check_weights: whether to refuse a denoiser, such as a fine-tuned one, whose maskable layers do not have the
                weights in which the neurons were found. Weights in another type (float16) count as the same.

        Raises:
            TypeError: if the pipeline's kind of denoiser is unknown, or its layers are quantised or wrapped.
            ValueError: if the denoiser has another architecture, other shapes or other weights, is offloaded, or
                carries another mask; or if something else wrote to what this mask had changed. The model is unchanged
                then.
        """
        denoiser = self.denoiser_of(pipe)
        with held(denoiser):
            self._prune(denoiser, check_weights)

    def remove(self, pipe: DiffusionPipeline) -> None:
        """Gives every pruned weight its original value back, bit for bit.

        Weights that something else wrote to in the meantime, such as another checkpoint, stay as they are, and a
        warning says so.

        Raises:
            ValueError: if this mask is not applied to the pipeline, or an adapter was fused over it.
        """
        denoiser = self.denoiser_of(pipe)
        with held(denoiser):
            present = pruning.current_pruning(denoiser)
            if present is None:
                raise UsageError(
                    "No mask is applied to this pipeline, so there is nothing to remove. The original weights stay "
                    "with the model in memory; a model that was saved with the mask and loaded again no longer has "
                    "them. Load the original model."
                )
            if present.fingerprint != self.fingerprint:
                raise UsageError(
                    f"Another mask ({present.label}) is applied to this pipeline; remove that one instead."
                )
            pruning.warn_of_kept(pruning.restore(denoiser))

    def is_applied(self, pipe: DiffusionPipeline) -> bool:
        """Returns whether an equal mask is applied to the pipeline, and all of its weights show that."""
        denoiser = self.denoiser_of(pipe)
        with held(denoiser):
            return pruning.is_pruned_as(denoiser, self.fingerprint)

    @contextmanager
    def applied(self, pipe: DiffusionPipeline, *, check_weights: bool = True) -> Iterator[DiffusionPipeline]:
        """Applies the mask within a `with` block. Restores the state before it at the end, also after an exception.

        Other threads that want to find concepts in this model, or apply or remove a mask, wait for the end.
        """
        denoiser = self.denoiser_of(pipe)
        with held(denoiser):
            stays = pruning.current_pruning(denoiser) is not None
            self._prune(denoiser, check_weights)
            with pruning.needed(denoiser, stays=stays):
                yield pipe

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the mask to a folder: `neurons.safetensors`, a `config.json` to read, and a model card."""
        file.save(self, Path(folder), card=model_card(self))

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Uploads the mask to the Hugging Face Hub and returns its address. Makes the repository if it does not exist.

        Args:
            repo_id: owner/name.
            private: whether a new repository is private. None leaves it to the owner's account.
            token: token of the Hub. None takes that of the user who is logged in.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return hub.upload(
                Path(folder), repo_id, message=hub.commit_message(self), private=private, token=token, stale=BESIDE
            )

    @classmethod
    def from_pretrained(cls, folder_or_repo: str | Path, **hub: Any) -> "NeuronMask":
        """Reads a mask from a folder, or from a repository of the Hugging Face Hub.

        Args:
            folder_or_repo: path, or owner/name.
            **hub: options of `huggingface_hub.snapshot_download`, such as revision, token, cache_dir, local_files_only.

        Raises:
            FileNotFoundError: if there is no mask.
            ValueError: if its file is cut off, altered, or not a mask.
        """
        return cls(**vars(file.load(folder_or_repo, **hub)))

    def _prune(self, denoiser: ModelMixin, check_weights: bool) -> None:
        layers = check_fit(self, denoiser, check_weights=check_weights)
        label = ", ".join(self.concepts) or "nothing"
        pruning.prune(denoiser, layers, self.pruned, label, self.remaining, self.added, self.fingerprint, self)

    def _check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError if the mask does not hold one of the names, and TypeError if one is no text."""
        for name in names:
            if not isinstance(name, str):
                raise ArgumentError(
                    f"{name!r} is a {type(name).__name__}, not a name; give names: mask.only('church', 'tench')."
                )
            if name not in self.neurons:
                held = ", ".join(self.concepts) or "nothing"
                raise UsageError(f"{name!r} is not in this mask; name a concept that it holds: {held}.")
