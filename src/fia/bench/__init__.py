"""The benchmark: every method on the embedded model, with the same prompts and seeds."""

from .methods import METHODS
from .run import Bench
from .tasks import TASKS

__all__ = ["METHODS", "TASKS", "Bench"]
