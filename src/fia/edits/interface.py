"""What an edit is: it changes a pipeline within a `with` block."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

from diffusers import DiffusionPipeline


@runtime_checkable
class Edit(Protocol):
    """What a method made; `NeuronMask` is one."""

    def applied(self, pipe: DiffusionPipeline) -> AbstractContextManager[DiffusionPipeline]:
        """Applies the edit within a `with` block; leaving it, also by an exception, restores the state before."""

    def check(self, pipe: DiffusionPipeline) -> None:
        """Raises an explained error if the edit does not fit a pipeline.

        The pipeline is as before afterwards, and no second one is loaded.
        """

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns how many of the denoiser's parameters the edit changes or adds, in percent of those it has.

        Args:
            pipe: the pipeline without the edit, which fits it.
        """


class NoEdit:
    """The model as it is."""

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Changes nothing."""
        yield pipe

    def check(self, pipe: DiffusionPipeline) -> None:
        """Fits every pipeline."""

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns 0."""
        return 0.0
