"""The interface of all methods. A method makes an edit that unlearns concepts."""

from collections.abc import Sequence
from dataclasses import Field
from typing import Any, ClassVar, Protocol, runtime_checkable

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..edits.interface import Edit


@runtime_checkable
class Method(Protocol):
    """A way to unlearn concepts: a dataclass of settings with one function.

    Attributes:
        paper: source of the method, or a description if there is no paper.
    """

    paper: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> Edit:
        """Returns an edit that unlearns the concepts. The pipeline stays as it is.

        Args:
            pipe: a pipeline of a family that the method supports.
            concepts: the concepts to forget, at least one.
            keep: names to preserve. Some methods do not use them.
        """
