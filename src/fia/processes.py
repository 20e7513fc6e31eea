"""The processes that share the work, if `torchrun` or `accelerate launch` started several."""

from datetime import timedelta
from functools import cache

import torch
from accelerate import PartialState


@cache
def processes() -> PartialState:
    """Returns the number of this process, how many there are, and its device. They may wait days for the main one."""
    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=7))
