"""The embedded model: a small Stable Diffusion that generates emoji in landscapes, trained from scratch."""

from .pretrained import load_classifier, load_clip, load_testbed

__all__ = ["load_classifier", "load_clip", "load_testbed"]
