"""Images from prompts and seeds, and what they say about a mask."""

from .accuracy import ForgettingScores, overall
from .figure import comparison_figure
from .images import generate_images

__all__ = ["ForgettingScores", "comparison_figure", "generate_images", "overall"]
