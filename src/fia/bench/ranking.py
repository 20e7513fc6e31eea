"""Who is first in each task of the benchmark, and by how much. The tasks in which ours loses most come first."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..evaluation.questions import overall
from ..evaluation.records import Scores
from ..evaluation.run import RANDOM, UNTOUCHED
from .edit_store import OURS

CONTROLS = (UNTOUCHED, RANDOM)
LEGEND = (
    "Score: Overall. Where no method is told what to keep, P is what nobody listed; where nothing else is left, the "
    "score is the share that is gone. Place 1 is shared if scores are equal. Ahead: of the best of the others."
)


@dataclass(frozen=True)
class Standing:
    """Where one method stands in a task.

    Attributes:
        task: name of the task.
        score: its score, from 0 to 100.
        place: 1 for the first.
        number: number of methods.
        rivals: the other methods and their scores, the best first.
    """

    task: str
    score: float
    place: int
    number: int
    rivals: tuple[tuple[str, float], ...]

    @property
    def ahead(self) -> float:
        """How far it is ahead of the best of the others; negative if it is behind."""
        return self.score - self.rivals[0][1]


def score_of(row: Scores) -> float | None:
    """Returns the score of a method in a task; see LEGEND. None if nothing was to be forgotten."""
    still, others = row["still_detected"], row["kept"] or row["rest"]
    if still is None:
        return None
    return overall(still["percent"], others["percent"]) if others else 100 - still["percent"]


def standings(scores: Mapping[str, Mapping[str, Scores]], of: str = OURS) -> list[Standing]:
    """Returns where a method stands in each task that it and another ran in, the one where it is farthest behind first.

    Args:
        scores: the scores by task and method.
        of: name of the method.
    """
    found = []
    for task, methods in scores.items():
        known = {name: score_of(row) for name, row in methods.items() if name not in CONTROLS}
        ranked = {name: round(score, 1) for name, score in known.items() if score is not None}
        rivals = sorted(((n, s) for n, s in ranked.items() if n != of), key=lambda rival: -rival[1])
        if of in ranked and rivals:
            place = 1 + sum(score > ranked[of] for _, score in rivals)
            found.append(Standing(task, ranked[of], place, len(ranked), tuple(rivals)))
    return sorted(found, key=lambda standing: standing.ahead)


def ranking_table(scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """Returns the standings of our method as a Markdown table."""
    lines = [f"| | place of {OURS} | its score | ahead | the best others |", f"|{'---|' * 5}"]
    for standing in standings(scores):
        others = ", ".join(f"{name} {score:.1f}" for name, score in standing.rivals[:3])
        lines.append(
            f"| {standing.task} | {standing.place} of {standing.number} | {standing.score:.1f} | "
            f"{standing.ahead:+.1f} | {others} |"
        )
    return "\n".join(lines)


def overall_table(scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """Returns every method's score in every task as a Markdown table; the best of a task is bold."""
    methods = list(dict.fromkeys(name for rows in scores.values() for name in rows if name not in CONTROLS))
    lines = [f"| score | {' | '.join(methods)} |", f"|{'---|' * (len(methods) + 1)}"]
    for task, rows in scores.items():
        found = {name: score_of(rows[name]) for name in methods if name in rows}
        ranked = {name: f"{score:.1f}" for name, score in found.items() if score is not None}
        best = max(ranked.values(), key=float, default="")
        texts = [ranked.get(name, "") for name in methods]
        cells = (f"**{text}**" if text and text == best else text for text in texts)
        lines.append(f"| {task} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ranking_text(scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """Returns the standings of our method as lines for the terminal. It is empty if there is nothing to compare."""
    lines = [
        f"  {standing.task:<32}{standing.place:>3} of {standing.number:<4}{standing.score:>6.1f}"
        f"{standing.ahead:>+8.1f}   {standing.rivals[0][0]} {standing.rivals[0][1]:.1f}"
        for standing in standings(scores)
    ]
    heading = f"{OURS}, where it loses first: place, score, how far ahead of the best other"
    return "\n".join([heading, *lines]) if lines else ""
