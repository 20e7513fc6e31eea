"""Ways to make a model unlearn, one file each, behind one interface: FIA, its rivals, and the controls."""

from ..edits.weight_edit import WeightEdit
from ..masks.random_control import random_mask
from .concept_prune import ConceptPrune
from .esd import ESD
from .fia import FIA
from .interface import Edit, Method
from .negative_prompt import NegativePrompt
from .rece import RECE
from .uce import UCE

__all__ = ["ESD", "FIA", "RECE", "UCE", "ConceptPrune", "Edit", "Method", "NegativePrompt", "WeightEdit", "random_mask"]
