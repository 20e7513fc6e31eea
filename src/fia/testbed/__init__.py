"""The embedded model: a small Stable Diffusion that draws emoji in landscapes, trained from nothing."""

from .pretrained import load_classifier, load_clip, load_testbed

__all__ = ["load_classifier", "load_clip", "load_testbed"]
