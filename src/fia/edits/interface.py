"""What an edit is: it changes a pipeline within a `with` block."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

from diffusers import DiffusionPipeline


@runtime_checkable
class Edit(Protocol):
    """What a method made; `NeuronMask` is one."""

    def applied(self, pipe: DiffusionPipeline) -> AbstractContextManager[Any]:
        """Applies the edit within a `with` block; leaving it, also by an exception, restores the state before."""


class NoEdit:
    """The model as it is."""

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Changes nothing."""
        yield pipe
