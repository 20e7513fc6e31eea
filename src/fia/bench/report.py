"""The benchmark's results as tables, as a trade-off figure and as pictures side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]  # by task and method

COLUMNS = {
    "forgetting_accuracy": "forgotten %",
    "preserving_accuracy": "kept %",
    "preserving_accuracy_rest": "rest %",
    "overall": "overall",
    "remaining_accuracy": "remains %",
    "changed_percent": "changed %",
    "seconds": "seconds",
    "megabytes": "MB",
}
LEGEND = (
    "forgotten: images in which the judge still sees what should be gone (lower is better); kept and rest: images "
    "whose subject it sees, of those named to be kept and of all others; overall: 2P(1 - F) / (P + 1 - F) of "
    "forgotten F and kept P; remains: what else a forgotten prompt asks for, the place or the subject; changed: share "
    "of the U-Net's parameters; seconds and MB: to make the edit, without drawing."
)
COLOURS = {
    "FIA": "#c0392b",
    "ESD-x": "#17a2b8",
    "ESD-u": "#8c6d1f",
    "no edit": "#6a737d",
    "random mask": "#9aa5b1",
}  # the others have matplotlib's
MARKERS = "os^vDP*Xph<>"


def cells(scores: Mapping[str, Any], cost: Mapping[str, Any]) -> list[str]:
    """Returns a method's row of the table, without its name; empty where there is nothing to say."""
    row = []
    for key in COLUMNS:
        if key in ("seconds", "megabytes"):
            row.append(f"{cost[key]:.0f}" if key in cost else "")
        elif key == "changed_percent":
            row.append(f"{scores[key]:.2f}")
        else:
            value = scores[key]["percent"] if isinstance(scores[key], dict) else scores[key]
            row.append("" if value is None else f"{value:.1f}")
    return row


def markdown(results: Results, costs: Results) -> str:
    """Returns every task's table in Markdown."""
    parts = []
    for task, methods in results.items():
        lines = [f"### {task}", "", f"| | {' | '.join(COLUMNS.values())} |", f"|---|{'---|' * len(COLUMNS)}"]
        for name, scores in methods.items():
            lines.append(f"| {name} | {' | '.join(cells(scores, costs[task][name]))} |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, LEGEND]) + "\n"


def where_they_go(results: Results) -> str:
    """Returns a table of what the judge sees where a forgotten object was asked for, in percent of these images."""
    lines = ["| | | still seen | nothing | unrecognisable | another object | most often |", f"|{'---|' * 7}"]
    for task, methods in results.items():
        for name, scores in methods.items():
            number, instead = scores["forgetting_accuracy"]["number"], scores["seen_instead"]
            others = {thing: count for thing, count in instead.items() if thing not in ("none", "unrecognisable")}
            counts = (instead.get("none", 0), instead.get("unrecognisable", 0), sum(others.values()))
            shares = " | ".join(f"{100 * count / number:.1f}" for count in counts)
            still, usual = scores["forgetting_accuracy"]["percent"], next(iter(others), "")
            lines.append(f"| {task} | {name} | {still:.1f} | {shares} | {usual} |")
    return "\n".join(lines)


def text(results: Results, costs: Results) -> str:
    """Returns every task's table for the terminal."""
    parts = []
    for task, methods in results.items():
        lines = [f"{task:<26}" + "".join(f"{label:>12}" for label in COLUMNS.values())]
        for name, scores in methods.items():
            row = cells(scores, costs[task][name])
            lines.append(f"  {name:<24}" + "".join(f"{value:>12}" for value in row))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def tradeoff_figure(results: Results, columns: int = 3) -> Figure:
    """Returns a figure with a panel for each task that keeps something: forgotten against kept, a point a method."""
    tasks = {
        name: methods
        for name, methods in results.items()
        if any(scores["overall"] is not None for scores in methods.values())
    }
    columns = min(columns, len(tasks))
    rows = -(-len(tasks) // columns)
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.6 * columns, 3.8 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for axis, (task, methods) in zip(axes, tasks.items(), strict=False):
            axis.set(title=task, xlabel="forgotten: still seen, %", ylabel="kept: seen, %")
            axis.set(xlim=(-4, 104), ylim=(-4, 104))
            axis.grid(color="#e6e8eb")
            axis.set_axisbelow(True)
            for (name, scores), marker in zip(methods.items(), MARKERS, strict=False):
                point = scores["forgetting_accuracy"]["percent"], scores["preserving_accuracy"]["percent"]
                axis.plot(*point, marker, color=COLOURS.get(name), label=name, markersize=8, alpha=0.85)
        for axis in list(figure.axes)[len(tasks) :]:
            axis.remove()
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3 * columns, frameon=False)
    return figure


def write_report(out: Path, results: Results, costs: Results) -> None:
    """Writes `results.md` and `tradeoff.png`."""
    (out / "results.md").write_text(markdown(results, costs), encoding="utf-8")
    if any(scores["overall"] is not None for methods in results.values() for scores in methods.values()):
        tradeoff_figure(results).savefig(out / "tradeoff.png", dpi=120)
