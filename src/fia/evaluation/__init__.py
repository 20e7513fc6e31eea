"""Images from prompts and seeds, and what they say about a mask."""

from ..drawing.figure import comparison_figure
from ..drawing.images import generate_images
from .accuracy import ForgettingScores, overall

__all__ = ["ForgettingScores", "comparison_figure", "generate_images", "overall"]
