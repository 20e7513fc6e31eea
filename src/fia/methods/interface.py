"""What all methods share: each makes an edit that unlearns concepts, and an edit applies to a pipeline for a while."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..edits.interface import Edit


@runtime_checkable
class Method(Protocol):
    """A way to unlearn concepts: a dataclass of its settings with one function.

    Attributes:
        paper: where it is from, or what it is where no paper is needed.
    """

    paper: ClassVar[str]

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> Edit:
        """Returns an edit that unlearns the concepts, and leaves the pipeline as it is.

        Args:
            pipe: of a family that the method works on.
            concepts: to forget, at least one.
            keep: names to preserve, for methods that have a use for them.
        """
