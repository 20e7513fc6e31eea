from .attacks.api import attack as attack
from .concepts import Concept as Concept
from .concepts import preset as preset
from .errors import FIAError as FIAError
from .finding.run import find as find
from .finding.run import forget as forget
from .masks.library import Library as Library
from .masks.mask import NeuronMask as NeuronMask
from .masks.policy import Policy as Policy
from .settings import Settings as Settings
from .testbed import load_testbed as load_testbed

__version__: str
