"""Ways to make a model unlearn, one file each, behind one interface: FIA and its rivals."""

from .concept_prune import ConceptPrune
from .esd import ESD
from .fia import FIA
from .interface import Method
from .negative_prompt import NegativePrompt
from .rece import RECE
from .uce import UCE

__all__ = ["ESD", "FIA", "RECE", "UCE", "ConceptPrune", "Method", "NegativePrompt"]
