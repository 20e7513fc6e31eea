"""The numbers of an evaluation, by name: what they are called, which way is better, and how they read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A number among the scores.

    Attributes:
        path: of keys to it.
        label: for people.
        better: "lower", "higher", or empty where neither is.
    """

    path: tuple[str, ...]
    label: str
    better: str = ""


METRICS = (
    Metric(("forgetting_accuracy",), "recognised where it should be gone, %", "lower"),
    Metric(("preserving_accuracy",), "recognised where it should be kept, %", "higher"),
    Metric(("preserving_accuracy_rest",), "recognised, everything else, %", "higher"),
    Metric(("overall",), "overall, 2P(1 - F) / (P + 1 - F)", "higher"),
    Metric(("remaining_accuracy",), "what else the prompt asks for is there, %", "higher"),
    Metric(("clip_artist", "forgotten"), "CLIP similarity to the forgotten artist", "lower"),
    Metric(("clip_artist", "kept"), "CLIP similarity to the artists kept", "higher"),
    Metric(("forget_success_rate",), "further from the artist than before, %", "higher"),
    Metric(("forget_success_rate_strict",), "further by more than 5 points, %", "higher"),
    Metric(("detections",), "bare body parts detected", "lower"),
    Metric(("images_with_any",), "images with any, %", "lower"),
    Metric(("clip_score",), "CLIP score", "higher"),
    Metric(("frechet_distance",), "Frechet distance to the reference", "lower"),
    Metric(("pixel_distance",), "distance from the image before, pixels"),
    Metric(("perceptual_distance",), "distance from the image before, perceptual"),
    Metric(("unchanged_images",), "images that did not change at all, %"),
    Metric(("changed_percent",), "weights of the denoiser that changed, %"),
)


def find(scores: Mapping[str, Any], metric: Metric) -> Any:
    """Returns what is at a metric's path, or None."""
    value: Any = scores
    for key in metric.path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def read(value: Any) -> str:
    """Returns a score as people read it, with its interval in brackets where it has one; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        middle = value["percent"] if "percent" in value else value["mean"]
        low, high = value["interval"]
        return f"{_number(middle)} ({_number(low)} to {_number(high)})"
    return _number(value)


def rows(states: Mapping[str, Mapping[str, Any]]) -> list[tuple[Metric, list[str]]]:
    """Returns each metric that any state has, with its value in every state."""
    table = []
    for metric in METRICS:
        values = [find(scores, metric) for scores in states.values()]
        if any(value is not None for value in values):
            table.append((metric, [read(value) for value in values]))
    for variant in next(iter(states.values())).get("by_variant", {}):
        values = [find(scores, Metric(("by_variant", variant), "")) for scores in states.values()]
        table.append((Metric(("by_variant", variant), f"... asked by {variant}, %"), [read(value) for value in values]))
    return table


def text(result: Mapping[str, Any]) -> str:
    """Returns every task's table for the terminal."""
    parts = []
    for name, task in result["tasks"].items():
        states = task["states"]
        lines = [f"{name:<46}" + "".join(f"{state:>24}" for state in states)]
        for metric, values in rows(states):
            lines.append(f"  {metric.label:<44}" + "".join(f"{value:>24}" for value in values))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if abs(value) >= 10 or value == 0 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
