"""What all methods share: each makes an edit that unlearns concepts, and an edit applies to a pipeline for a while."""

from collections.abc import Sequence
from dataclasses import Field
from typing import Any, ClassVar, Protocol, runtime_checkable

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..edits.interface import Edit


@runtime_checkable
class Method(Protocol):
    """A way to unlearn concepts: a dataclass of its settings with one function.

    Attributes:
        paper: its source, or what it is if no paper is needed.
    """

    paper: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> Edit:
        """Returns an edit that unlearns the concepts, and leaves the pipeline as it is.

        Args:
            pipe: of a family that the method works on.
            concepts: to forget, at least one.
            keep: names to preserve, for methods that have a use for them.
        """
