"""FIA (arXiv 2601.06163), behind the same interface as its rivals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..finding.run import find
from ..masks.mask import NeuronMask
from ..settings import Settings


@dataclass(frozen=True)
class FIA:
    """Concept-aware neuron masking.

    Attributes:
        settings: how to find and fuse the neurons.
    """

    settings: Settings = field(default_factory=Settings)
    paper: ClassVar[str] = "Deng et al., Forget-It-All, arXiv 2601.06163"

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask. With zeros, the method does not use `keep`."""
        return find(pipe, concepts, self.settings, keep=() if self.settings.is_zero else keep)
