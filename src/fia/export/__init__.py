"""Exports a mask and its model for other tools: as a diffusers folder, a file of weights, a checkpoint, or a patch."""
