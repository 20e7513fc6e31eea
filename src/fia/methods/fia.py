"""FIA itself (arXiv 2601.06163), behind the interface of its rivals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from diffusers import DiffusionPipeline

from ..concepts import Concept, Kind
from ..mask import NeuronMask
from ..settings import Settings
from ..unlearn import find


@dataclass(frozen=True)
class FIA:
    """Concept-aware neuron masking.

    Attributes:
        settings: see `Settings`.
        kind_ratios: r2, in [0, 1], for concepts of these kinds that have none of their own, as the paper has others for
            styles and for explicit content; the settings' for all others.
    """

    settings: Settings = field(default_factory=Settings)
    kind_ratios: Mapping[Kind, float] = field(default_factory=dict)
    paper: ClassVar[str] = "Deng et al., Forget-It-All, arXiv 2601.06163"

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask; what is to be kept is not needed."""
        own = [
            replace(concept, spatial_ratio=self.kind_ratios.get(concept.kind))
            if concept.spatial_ratio is None
            else concept
            for concept in concepts
        ]
        return find(pipe, own, self.settings)
