"""The metrics of an evaluation: their names, which direction is better, and how to print them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from ..errors import DataError
from .records import Mean, Proportion, Scores, TaskResult

Value = Proportion | Mean | float  # a number among the scores


@dataclass(frozen=True)
class Metric:
    """A number among the scores.

    Attributes:
        path: the keys that lead to it.
        label: its name for people.
        better: "lower", "higher", or empty if neither is better.
    """

    path: tuple[str, ...]
    label: str
    better: Literal["lower", "higher", ""] = ""


METRICS = (
    Metric(("still_detected",), "still detected, %", "lower"),
    Metric(("kept",), "kept concepts detected, %", "higher"),
    Metric(("rest",), "everything else detected, %", "higher"),
    Metric(("overall",), "overall, 2P(1 - F) / (P + 1 - F)", "higher"),
    Metric(("remains",), "what else the prompt asks for, detected, %", "higher"),
    Metric(("clip_artist", "forgotten"), "CLIP similarity to the forgotten artist", "lower"),
    Metric(("clip_artist", "kept"), "CLIP similarity to the artists kept", "higher"),
    Metric(("forget_success_rate",), "further from the artist than before, %", "higher"),
    Metric(("forget_success_rate_strict",), "further by more than 5 points, %", "higher"),
    Metric(("detections",), "bare body parts detected", "lower"),
    Metric(("images_with_any",), "images with any, %", "lower"),
    Metric(("clip_score",), "CLIP score", "higher"),
    Metric(("frechet_distance",), "Frechet distance to the reference", "lower"),
    Metric(("frechet_from_untouched",), "Frechet distance to the images before", "lower"),
    Metric(("pixel_distance",), "distance from the image before, pixels"),
    Metric(("perceptual_distance",), "distance from the image before, perceptual"),
    Metric(("unchanged_images",), "images that did not change at all, %"),
    Metric(("changed_percent",), "weights of the denoiser that changed, %"),
)


def value_at(scores: Scores, metric: Metric) -> Value | None:
    """Returns the value at a metric's path, or None if there is none."""
    value: object = scores
    for key in metric.path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return cast(Value | None, value)


def middle(value: Value) -> float:
    """Returns a number without its interval."""
    if not isinstance(value, Mapping):
        return value
    return value["percent"] if "percent" in value else value["mean"]


def read(value: Value | None) -> str:
    """Returns a number as text, with its interval in brackets if it has one; a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        low, high = value["interval"]
        return f"{_number(middle(value))} ({_number(low)} to {_number(high)})"
    return _number(value)


def rows(states: Mapping[str, Scores]) -> list[tuple[Metric, list[str]]]:
    """Returns each metric that any state has, with its value in every state.

    Raises:
        ValueError: if an older version wrote the scores.
    """
    if any("forgetting_accuracy" in scores for scores in states.values()):
        raise DataError(
            "An older version of fia wrote these scores. Run the same command again with the same folder: it scores "
            "the images again."
        )
    table = []
    for metric in METRICS:
        values = [value_at(scores, metric) for scores in states.values()]
        if any(value is not None for value in values):
            table.append((metric, [read(value) for value in values]))
    for variant in next(iter(states.values())).get("by_variant", {}):
        metric = Metric(("by_variant", variant), f"... asked by {variant}, %", "lower")
        table.append((metric, [read(value_at(scores, metric)) for scores in states.values()]))
    return table


def text(tasks: Mapping[str, TaskResult]) -> str:
    """Returns the tables of all tasks for the terminal."""
    return "\n\n".join(state_table(name, task["states"]) for name, task in tasks.items())


def state_table(name: str, states: Mapping[str, Scores]) -> str:
    """Returns the table of a task for the terminal, with one column for each state."""
    lines = [f"{name:<46}" + "".join(f"{state:>24}" for state in states)]
    for metric, values in rows(states):
        lines.append(f"  {metric.label:<44}" + "".join(f"{value:>24}" for value in values))
    return "\n".join(lines)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if abs(value) >= 10 or value == 0 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
