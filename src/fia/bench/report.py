"""The benchmark's results as tables, as a trade-off figure and as pictures side by side."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.records import Costs, Proportion, Scores
from ..evaluation.run import RANDOM, UNTOUCHED
from ..files import written_whole
from .edit_store import OURS
from .ranking import LEGEND as RANKING_LEGEND
from .ranking import ranking_table, ranking_text, standings

BenchScores = Mapping[str, Mapping[str, Scores]]  # by task and method
BenchCosts = Mapping[str, Mapping[str, Costs]]

COLUMNS = (
    *("still detected %", "empty place %", "kept %", "unlisted %", "overall"),
    *("of two: still detected %", "of two: the other %", "shared word %"),
    *("remains %", "drift", "changed %", "seconds", "MB"),
)
LEGEND = (
    "Still detected: images of forgotten concepts in which the judge still sees the concept (lower is better). Empty "
    "place: images of forgotten objects in which it sees no object at all. Kept: images of what every method was told "
    "to keep in which the judge sees it. Unlisted: the same for everything else, which no method was told of. Overall: "
    "2P(1 - F) / (P + 1 - F); F is still detected, P is kept. Remains: images of forgotten concepts in which the judge "
    "sees what else the prompt asks for, the place or the subject. Drift: how far the images of everything that is not "
    "forgotten are from the untouched model's, by the judge's features (0 for equal images, at most 4). Changed: the "
    "share of the U-Net's parameters that the edit changes. Seconds and MB: the cost of making the edit, without "
    "generating images. In brackets: the 95 % interval."
)
COLOURS = {
    OURS: "#c0392b",
    "FIA": "#e59866",
    "ESD-x": "#17a2b8",
    "ESD-u": "#8c6d1f",
    "negative prompt": "#7b4ea3",
    UNTOUCHED: "#6a737d",
    RANDOM: "#9aa5b1",
}  # the other methods have matplotlib's colours
MARKERS = "os^vDP*Xph<>d8H"


def cells(scores: Scores, costs: Costs, *, intervals: bool = False) -> list[str]:
    """Returns the cells of a method's row, without its name. A cell without a value is empty."""
    overall, drift = scores["overall"], scores.get("perceptual_distance")
    seconds, megabytes = costs.get("seconds"), costs.get("megabytes")
    proportions = scores["still_detected"], scores.get("empty"), scores["kept"], scores["rest"]
    return [
        *(_percent(value, intervals=intervals) for value in proportions),
        "" if overall is None else f"{overall:.1f}",
        *(
            _percent(value)
            for value in (scores.get("still_of_two"), scores.get("other_of_two"), scores.get("shared_word"))
        ),
        _percent(scores["remains"]),
        "" if drift is None else f"{drift['mean']:.3f}",
        f"{scores['changed_percent']:.2f}",
        "" if seconds is None else f"{seconds:.0f}",
        "" if megabytes is None else f"{megabytes:.0f}",
    ]


def _percent(value: Proportion | None, *, intervals: bool = False) -> str:
    if value is None:
        return ""
    low, high = value["interval"]
    return f"{value['percent']:.1f}" + (f" ({low:.0f}-{high:.0f})" if intervals else "")


def markdown(scores: BenchScores, costs: BenchCosts) -> str:
    """Returns every task's table in Markdown."""
    parts = []
    for task, methods in scores.items():
        parts.append(f"### {task}\n\n{table(methods, costs[task])}")
    return "\n\n".join(parts)


def page(scores: BenchScores, costs: BenchCosts, legend: str = LEGEND) -> str:
    """Returns where our method stands, and every task's table with a legend, in Markdown."""
    parts = ["## What is still detected and what is kept", markdown(scores, costs), legend]
    if standings(scores):
        parts = ["## Who is first, where we lose first", ranking_table(scores), RANKING_LEGEND, *parts]
    return "\n\n".join(parts)


def table(rows: Mapping[str, Scores], costs: Mapping[str, Costs]) -> str:
    """Returns a table in Markdown with a row for each method. It has no column that is empty in every row."""
    values = {name: cells(scores, costs.get(name, {}), intervals=True) for name, scores in rows.items()}
    shown = _shown(values.values())
    lines = [f"| | {' | '.join(COLUMNS[i] for i in shown)} |", f"|{'---|' * (len(shown) + 1)}"]
    for name, row in values.items():
        escaped = name.replace("|", "&#124;")
        lines.append(f"| {escaped} | {' | '.join(row[i] for i in shown)} |")
    return "\n".join(lines)


def where_they_go(scores: BenchScores) -> str:
    """Returns a table of what the judge sees if the prompt asks for a forgotten object, in percent of these images."""
    lines = ["| | | still detected | nothing | unrecognisable | another object | most often |", f"|{'---|' * 7}"]
    for task, methods in scores.items():
        for name, row in methods.items():
            still, instead = row["still_detected"], row["seen_instead"]
            if still is None:
                continue
            others = {thing: count for thing, count in instead.items() if thing not in ("none", "unrecognisable")}
            counts = (instead.get("none", 0), instead.get("unrecognisable", 0), sum(others.values()))
            percents = " | ".join(f"{100 * count / still['number']:.1f}" for count in counts)
            lines.append(f"| {task} | {name} | {still['percent']:.1f} | {percents} | {next(iter(others), '')} |")
    return "\n".join(lines)


def text(scores: BenchScores, costs: BenchCosts) -> str:
    """Returns every task's table for the terminal, and where our method stands."""
    parts = []
    for task, methods in scores.items():
        rows = {name: cells(row, costs[task][name]) for name, row in methods.items()}
        shown = _shown(rows.values())
        lines = [f"{task:<26}" + _in_columns(COLUMNS, shown)]
        lines += [f"  {name:<24}" + _in_columns(row, shown) for name, row in rows.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(filter(None, [*parts, ranking_text(scores)]))


def _shown(rows: Collection[Sequence[str]]) -> list[int]:
    """Returns the indices of the columns that are not empty in every row."""
    return [i for i in range(len(COLUMNS)) if any(row[i] for row in rows)]


def _in_columns(values: Sequence[str], shown: Sequence[int]) -> str:
    return "".join(f"{values[i]:>{len(COLUMNS[i]) + 3}}" for i in shown)


def tradeoff_figure(scores: BenchScores, columns: int = 3) -> Figure:
    """Returns a figure with a panel for each task that names something to be kept, and a point for each method."""
    tasks = {name: methods for name, methods in scores.items() if keeps_something(methods)}
    columns = min(columns, len(tasks))
    rows = -(-len(tasks) // columns)
    least = min(row["kept"]["percent"] for methods in tasks.values() for row in methods.values() if row["kept"])
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.6 * columns, 3.8 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for axis, (task, methods) in zip(axes, tasks.items(), strict=False):
            _plot_methods(axis, methods)
            axis.set(title=task, xlabel="still detected, %", ylabel="kept, %")
            axis.set(xlim=(-4, 104), ylim=(max(-4, least - 10), 104))
            axis.grid(color="#e6e8eb")
            axis.set_axisbelow(True)
        for axis in list(figure.axes)[len(tasks) :]:
            axis.remove()
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3 * columns, frameon=False)
    return figure


def keeps_something(methods: Mapping[str, Scores]) -> bool:
    """Says whether a task names something to be kept, so that there is a trade-off."""
    return any(row["overall"] is not None for row in methods.values())


def _plot_methods(axis: Axes, methods: Mapping[str, Scores]) -> None:
    for (name, row), marker in zip(methods.items(), MARKERS, strict=False):
        still, kept = row["still_detected"], row["kept"]
        if still is not None and kept is not None:
            point = still["percent"], kept["percent"]
            axis.plot(*point, marker, color=COLOURS.get(name), label=name, markersize=8, alpha=0.85)


def write_report(out: Path, scores: BenchScores, costs: BenchCosts, legend: str = LEGEND) -> None:
    """Writes `results.md` and `tradeoff.png`."""
    with written_whole(out / "results.md") as partial:
        partial.write_text(f"{page(scores, costs, legend)}\n", encoding="utf-8")
    if any(keeps_something(methods) for methods in scores.values()):
        with written_whole(out / "tradeoff.png") as partial:
            tradeoff_figure(scores).savefig(partial, format="png", dpi=120)
