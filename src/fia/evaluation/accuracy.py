"""Forgetting and preserving accuracy, and the score that joins them (section 6 of docs/method.md)."""

from collections.abc import Sequence
from dataclasses import dataclass


def overall(forgetting_accuracy: float, preserving_accuracy: float) -> float:
    """Returns 2 P (1 - F) / (P + (1 - F)) in percent: the harmonic mean of what is kept and what is gone.

    Args:
        forgetting_accuracy: F, percent of images of forgotten classes that are still recognised.
        preserving_accuracy: P, percent of images of kept classes that are recognised.
    """
    gone = 100 - forgetting_accuracy
    total = preserving_accuracy + gone
    return 2 * preserving_accuracy * gone / total if total else 0.0


@dataclass(frozen=True)
class ForgettingScores:
    """What a judge recognises, in percent.

    Attributes:
        forgetting_accuracy: of images of the forgotten classes (lower is better).
        preserving_accuracy: of images of the classes to keep.
        preserving_accuracy_rest: of images of everything else the model can draw.
        overall: of the first two.
    """

    forgetting_accuracy: float
    preserving_accuracy: float
    preserving_accuracy_rest: float
    overall: float

    @classmethod
    def from_answers(
        cls, asked: Sequence[str], answered: Sequence[str], forgotten: Sequence[str], kept: Sequence[str]
    ) -> "ForgettingScores":
        """Scores a judge's answers.

        Args:
            asked: for each image the class its prompt named.
            answered: for each image the class the judge saw.
            forgotten: classes that should be gone.
            kept: classes named as those to keep; all others are the rest.
        """
        pairs = list(zip(asked, answered, strict=True))
        forgetting = _percent([a == b for a, b in pairs if a in forgotten])
        preserving = _percent([a == b for a, b in pairs if a in kept])
        rest = _percent([a == b for a, b in pairs if a not in forgotten and a not in kept])
        return cls(forgetting, preserving, rest, overall(forgetting, preserving))


def _percent(right: Sequence[bool]) -> float:
    return 100 * sum(right) / len(right) if right else 0.0
