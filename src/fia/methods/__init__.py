"""Other ways to edit a model, one file each, to compare with; the controls among them."""

from .random_control import random_mask

__all__ = ["random_mask"]
