"""A linear as adapters wrap it."""

from torch import nn


class WrappedLinear(nn.Linear):
    """A linear of another class, as adapters and quantisers put in place of the plain one."""
