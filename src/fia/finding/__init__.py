"""Finds a concept's neurons: runs the first denoising steps, scores the connections, selects the most salient ones."""
