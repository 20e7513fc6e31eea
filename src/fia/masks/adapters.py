"""Several masks by name on one pipeline, with the verbs of peft and diffusers: load, set, enable, disable, delete.

What is on the pipeline is one mask: the chosen ones joined (`|`), each at its weight. So the rules are those of masks,
and every weight comes back bit for bit. The mask is made, and its new values are solved, before the old one is taken
off; so a swap takes a fraction of a second.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from diffusers import DiffusionPipeline
from torch import nn

from ..errors import UsageError, did_you_mean
from ..models.lock import held
from ..models.pipelines import get_denoiser
from .current import current_mask
from .fit import check_same_model
from .mask import NeuronMask


@dataclass
class Shelf:
    """What belongs to a denoiser, whichever pipeline it is used through.

    Attributes:
        masks: the loaded masks, by name.
        chosen: the weights of the names that were set last.
        mask: the mask of `chosen`.
    """

    masks: dict[str, NeuronMask] = field(default_factory=dict)
    chosen: dict[str, float] = field(default_factory=dict)
    mask: NeuronMask | None = None


_SHELVES: WeakKeyDictionary[nn.Module, Shelf] = WeakKeyDictionary()


class Adapters:
    """The named masks of a pipeline. `fia.adapters(pipe)` gives them."""

    def __init__(self, pipe: DiffusionPipeline) -> None:
        self._pipe, self._denoiser = pipe, get_denoiser(pipe)
        with held(self._denoiser):
            self._shelf = _SHELVES.setdefault(self._denoiser, Shelf())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the loaded masks."""
        return tuple(self._shelf.masks)

    def load(
        self, name: str, mask: NeuronMask | str | Path, *, replace: bool = False, check_weights: bool = True, **hub: Any
    ) -> None:
        """Loads a mask under a name. `set` puts it on the pipeline.

        Args:
            name: name of the mask, for the other methods.
            mask: a mask, its folder, or the id of its repository on the Hub.
            replace: whether to replace a loaded mask of this name. If it is on the pipeline, the new one takes its
                place at once.
            check_weights: see `NeuronMask.apply`.
            **hub: see `NeuronMask.from_pretrained`.

        Raises:
            FileNotFoundError: if there is no such mask.
            ValueError: if the name is taken and `replace` is false, or the mask does not fit the pipeline.
        """
        if name in self._shelf.masks and not replace:
            raise UsageError(f"A mask {name!r} is loaded already; give replace=True, or another name.")
        if not isinstance(mask, NeuronMask):
            mask = NeuronMask.from_pretrained(mask, **hub)
        mask.check(self._pipe, check_weights=check_weights)
        with held(self._denoiser):
            for other in [own for key, own in self._shelf.masks.items() if key != name][:1] if check_weights else []:
                check_same_model(other, mask)  # under a mask, the weights themselves cannot be compared
            masks = self._shelf.masks | {name: mask}
            if name in self.active():
                self._put_on(masks, self._shelf.chosen)
            self._shelf.masks = masks

    def set(self, names: str | Sequence[str], weights: float | Sequence[float] = 1.0) -> None:
        """Puts masks on the pipeline, in place of those that are on it now.

        Args:
            names: one name, or several. No name leaves the pipeline without a mask.
            weights: one weight for all, or one for each name, in (0, 1]. It scales the strengths of the mask's
                concepts.

        Raises:
            ValueError: if no mask of a name is loaded, a weight is out of range, or the masks cannot be joined because
                they share a concept or have different alphas. The pipeline keeps what it had.
        """
        listed = [names] if isinstance(names, str) else list(names)
        each = list(weights) if isinstance(weights, Sequence) else [weights] * len(listed)
        if len(each) != len(listed):
            raise UsageError(f"There are {len(listed)} names but {len(each)} weights; give one weight for each name.")
        self._check_loaded(listed)
        with held(self._denoiser):
            self._put_on(self._shelf.masks, dict(zip(listed, each, strict=True)))

    def active(self) -> dict[str, float]:
        """Returns the names that are on the pipeline now, with their weights."""
        mask, present = self._shelf.mask, current_mask(self._pipe)
        is_on = mask is not None and present is not None and present.fingerprint == mask.fingerprint
        return dict(self._shelf.chosen) if is_on else {}

    def disable(self) -> None:
        """Takes the masks off the pipeline, and keeps in mind which they were."""
        with held(self._denoiser):
            if self.active():
                assert self._shelf.mask is not None
                self._shelf.mask.remove(self._pipe)

    def enable(self) -> None:
        """Puts the masks back that were set last. If they are on the pipeline, nothing changes."""
        with held(self._denoiser):
            self._put_on(self._shelf.masks, self._shelf.chosen)

    def delete(self, *names: str) -> None:
        """Forgets loaded masks. Those that are on the pipeline are taken off; the others stay on it.

        Raises:
            ValueError: if no mask of a name is loaded.
        """
        self._check_loaded(names)
        with held(self._denoiser):
            left = {name: weight for name, weight in self._shelf.chosen.items() if name not in names}
            if left != self._shelf.chosen and self.active():
                self._put_on(self._shelf.masks, left)
            elif left != self._shelf.chosen:
                self._shelf.chosen, self._shelf.mask = left, None
            self._shelf.masks = {name: mask for name, mask in self._shelf.masks.items() if name not in names}

    @contextmanager
    def generating(self) -> Iterator[DiffusionPipeline]:
        """Gives the pipeline within a `with` block, during which no other thread swaps masks or generates so.

        A server generates within such blocks, and swaps masks at any time from any thread: the swap waits for the image
        that is being generated. For another mask with every request, use `fia.Policy`.
        """
        with held(self._denoiser):
            yield self._pipe

    def _put_on(self, masks: dict[str, NeuronMask], chosen: dict[str, float]) -> None:
        """Replaces the mask on the pipeline by one of some masks at their weights. If that fails, the old one stays."""
        weighted = [_at_weight(masks[name], name, weight) for name, weight in chosen.items()]
        mask = reduce(or_, weighted) if weighted else None
        if mask is not None:
            _ = mask.added, mask.fingerprint  # solved before the old mask is taken off
        old = self._shelf.mask if self.active() else None
        if old is not None:
            old.remove(self._pipe)
        try:
            if mask is not None:
                mask.apply(self._pipe, check_weights=False)  # checked when it was loaded
        except BaseException:
            if old is not None:
                old.apply(self._pipe, check_weights=False)
            raise
        self._shelf.chosen, self._shelf.mask = chosen, mask

    def _check_loaded(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._shelf.masks:
                loaded = ", ".join(self.names) or "none"
                raise UsageError(
                    f"No mask {name!r} is loaded; the loaded ones are: {loaded}.{did_you_mean(name, self.names)}"
                )

    def __repr__(self) -> str:
        """Returns one line: the loaded masks, and the weights of those that are on the pipeline."""
        active = self.active()
        named = (f"{name!r} at {active[name]:g}" if name in active else f"{name!r} off" for name in self.names)
        return f"<Adapters of {type(self._pipe).__name__}: {', '.join(named) or 'none'}>"


def adapters(pipe: DiffusionPipeline) -> Adapters:
    """Returns the named masks of a pipeline: load them, and choose which are on it.

    They stay with the denoiser, so every call gives the same ones, also for other pipelines with this denoiser.

    Raises:
        TypeError: if `pipe` is not a pipeline.
    """
    return Adapters(pipe)


def _at_weight(mask: NeuronMask, name: str, weight: float) -> NeuronMask:
    """Returns a mask whose concepts have their strengths times a weight."""
    if not 0 < weight <= 1:
        raise UsageError(f"weight {weight} of {name!r} is not in (0, 1]; leave the name out for 0.")
    if weight == 1:
        return mask
    return mask.with_strengths({concept: weight * mask.strengths.get(concept, 1.0) for concept in mask.concepts})
