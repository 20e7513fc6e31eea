"""Masks: what they hold, and how to save, combine, apply and remove them."""
