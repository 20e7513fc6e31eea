"""Methods that make a model unlearn concepts: FIA and its rivals, one file each, behind one interface."""

from .concept_prune import ConceptPrune
from .esd import ESD
from .fia import FIA
from .interface import Method
from .negative_prompt import NegativePrompt
from .rece import RECE
from .uce import UCE

__all__ = ["ESD", "FIA", "RECE", "UCE", "ConceptPrune", "Method", "NegativePrompt"]
