"""The benchmark: every method on the embedded model, with the same prompts and seeds."""

from .methods import METHODS
from .run import Bench, BenchConfig
from .tasks import TASKS

__all__ = ["METHODS", "TASKS", "Bench", "BenchConfig"]
