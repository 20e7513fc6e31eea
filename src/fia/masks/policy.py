"""Serves one pipeline under several masks: each request names the mask it is to be drawn under.

A pipeline draws one request at a time (its scheduler keeps the state of the run), so that all a policy needs is a lock:
within it the mask is applied, and on leaving every weight is restored bit for bit, whatever happened. Switching takes a
fraction of a second at Stable Diffusion's size (benchmarks/masks.py), drawing takes seconds: that is good enough.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Lock, get_ident

from diffusers import DiffusionPipeline

from ..errors import UsageError
from ..models.pipelines import get_denoiser
from .fit import check_fit
from .mask import NeuronMask
from .pruning import refuse_if_pruned


class Policy:
    """Named masks for one pipeline: in `with policy("kids") as pipe: ...` one of them is applied; other threads wait.

    Args:
        pipe: without a mask, on its device; while the policy is in use, draw only through it.
        masks: by the names that requests give.
        check_weights: see `NeuronMask.apply`; checked once, here.

    Raises:
        ValueError: if a mask does not fit the pipeline, or one is applied already.
    """

    def __init__(self, pipe: DiffusionPipeline, masks: Mapping[str, NeuronMask], *, check_weights: bool = True) -> None:
        denoiser = get_denoiser(pipe)
        refuse_if_pruned(denoiser, "and a policy needs the original weights")
        for name, mask in masks.items():
            try:
                check_fit(mask, denoiser, check_weights=check_weights)
            except ValueError as error:
                raise UsageError(f"Mask {name!r} does not fit the pipeline: {error}") from None
        self._pipe, self._masks, self._lock, self._holder = pipe, dict(masks), Lock(), 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the masks."""
        return tuple(self._masks)

    @contextmanager
    def __call__(self, name: str | None) -> Iterator[DiffusionPipeline]:
        """Gives the pipeline under a mask, or untouched for None, within a `with` block; other threads wait.

        Raises:
            ValueError: for a name that no mask has.
            RuntimeError: within a block of the same thread, which would wait for itself.
        """
        if name is not None and name not in self._masks:
            raise UsageError(f"There is no mask {name!r} in this policy, which has: {', '.join(self.names) or 'none'}.")
        if self._holder == get_ident():
            raise RuntimeError(
                "This thread draws under a mask of this policy already: leave that block first. With asyncio, draw in "
                "threads (asyncio.to_thread)."
            )
        mask = nullcontext() if name is None else self._masks[name].applied(self._pipe, check_weights=False)
        with self._lock:
            self._holder = get_ident()
            try:
                with mask:
                    yield self._pipe
            finally:
                self._holder = 0
