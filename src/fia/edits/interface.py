"""The interface of an edit: it changes a pipeline within a `with` block."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

from diffusers import DiffusionPipeline


@runtime_checkable
class Edit(Protocol):
    """The result of a method. `NeuronMask` is an edit."""

    def applied(self, pipe: DiffusionPipeline) -> AbstractContextManager[DiffusionPipeline]:
        """Applies the edit within a `with` block. At its end, even after an exception, the pipeline is as before."""

    def check(self, pipe: DiffusionPipeline) -> None:
        """Raises an explained error if the edit does not fit a pipeline.

        It leaves the pipeline as it was, and loads no second one.
        """

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns how many parameters of the denoiser the edit changes or adds, in percent of all its parameters.

        Args:
            pipe: the pipeline without the edit. The edit must fit it.
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
