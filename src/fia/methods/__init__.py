"""Methods that make a model unlearn concepts: FIA and its rivals, one file each, behind one interface."""

from .concept_prune import ConceptPrune
from .double_projections import DoubleProjections
from .esd import ESD
from .fia import FIA
from .interface import Method
from .negative_prompt import NegativePrompt
from .oce import OCE
from .rece import RECE
from .scapre import ScaPre
from .speed import SPEED
from .uce import UCE

__all__ = [
    "ESD",
    "FIA",
    "OCE",
    "RECE",
    "SPEED",
    "UCE",
    "ConceptPrune",
    "DoubleProjections",
    "Method",
    "NegativePrompt",
    "ScaPre",
]
