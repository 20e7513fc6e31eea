"""The benchmark: it compares all methods on the embedded model, with the same prompts and seeds."""

from .chosen_settings import methods_for
from .run import Bench
from .tasks import TASKS

__all__ = ["TASKS", "Bench", "methods_for"]
