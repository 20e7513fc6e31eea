from .attacks.api import attack as attack
from .attacks.harden import harden as harden
from .bench.evaluate import evaluate as evaluate
from .concepts import Concept as Concept
from .concepts import preset as preset
from .drawing.images import generate_images as generate_images
from .errors import FIAError as FIAError
from .finding.run import find as find
from .finding.run import forget as forget
from .masks.adapters import adapters as adapters
from .masks.current import current_mask as current_mask
from .masks.current import remove as remove
from .masks.library import Library as Library
from .masks.mask import NeuronMask as NeuronMask
from .masks.policy import Policy as Policy
from .masks.random_control import random_mask as random_mask
from .settings import Settings as Settings
from .testbed import load_testbed as load_testbed
from .testbed.judge import load_judge as load_judge

__version__: str
