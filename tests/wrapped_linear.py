"""A linear layer as adapters wrap it."""

from torch import nn


class WrappedLinear(nn.Linear):
    """A linear layer of another class. Adapters and quantisers put such a layer in place of the plain one."""
