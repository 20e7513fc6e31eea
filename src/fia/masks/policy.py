"""Serves one pipeline under several masks. Each request names the mask under which the pipeline generates.

A pipeline works on one request at a time, because its scheduler keeps the state of the request. So a policy only needs
the denoiser's lock. It applies the mask while it holds that, and restores every weight bit for bit at the end, also
after an exception.
At Stable Diffusion's size a switch takes a fraction of a second (benchmarks/masks.py) and an image takes seconds, so
that is fast enough.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import get_ident

from diffusers import DiffusionPipeline

from ..errors import UsageError
from ..models.lock import held
from ..models.pipelines import get_denoiser
from .fit import check_fit
from .mask import NeuronMask
from .pruning import refuse_if_pruned


class Policy:
    """Named masks for one pipeline: `with policy("kids") as pipe: ...` applies one of them while other threads wait.

    The new values of masks that rewrite are solved when the policy is made.

    Args:
        pipe: the pipeline, without a mask and on its device. Use it only through the policy from now on.
        masks: the masks, by the names that requests give.
        check_weights: see `NeuronMask.apply`. The policy checks once, when it is made.

    Raises:
        ValueError: if a mask does not fit the pipeline, or a mask is already applied.
    """

    def __init__(self, pipe: DiffusionPipeline, masks: Mapping[str, NeuronMask], *, check_weights: bool = True) -> None:
        denoiser = get_denoiser(pipe)
        with held(denoiser):
            refuse_if_pruned(denoiser, "and a policy needs the original weights")
            for name, mask in masks.items():
                try:
                    check_fit(mask, denoiser, check_weights=check_weights)
                    _ = mask.added, mask.fingerprint  # solved now, so that a switch takes no time
                except ValueError as error:
                    raise UsageError(f"Mask {name!r} does not fit the pipeline: {error}") from None
        self._pipe, self._masks, self._holder = pipe, dict(masks), 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the masks."""
        return tuple(self._masks)

    @contextmanager
    def __call__(self, name: str | None) -> Iterator[DiffusionPipeline]:
        """Gives the pipeline under a mask within a `with` block; None gives it untouched. Other threads wait.

        Raises:
            ValueError: if no mask has this name, or a mask was applied without the policy.
            RuntimeError: if the same thread is already in such a block: it would wait for itself.
        """
        if name is not None and name not in self._masks:
            there = ", ".join(self.names) or "none"
            raise UsageError(f"There is no mask {name!r} in this policy; name one that it has: {there}.")
        if self._holder == get_ident():
            raise RuntimeError(
                "This thread already uses this policy in a `with` block; leave that block first. With asyncio, "
                "generate in threads (asyncio.to_thread)."
            )
        denoiser = get_denoiser(self._pipe)
        with held(denoiser):
            self._holder = get_ident()
            try:
                refuse_if_pruned(denoiser, "and a policy needs the original weights")
                mask = nullcontext() if name is None else self._masks[name].applied(self._pipe, check_weights=False)
                with mask:
                    yield self._pipe
            finally:
                self._holder = 0
