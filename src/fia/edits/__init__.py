"""Edits: they change a pipeline within a `with` block."""
