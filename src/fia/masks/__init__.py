"""Masks: what they hold, how they are kept, combined, applied to a model and taken off it."""
