"""Finds a concept's neurons: runs the first denoising steps, scores connections, selects the most salient."""
