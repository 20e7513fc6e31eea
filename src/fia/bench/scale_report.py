"""The large world's results: curves over the number of forgotten objects."""

from collections.abc import Callable

import matplotlib
from matplotlib.figure import Figure

from ..evaluation.records import Costs, Scores
from ..evaluation.run import UNTOUCHED
from .edit_store import OURS
from .report import COLOURS, MARKERS, BenchCosts, BenchScores
from .scale import SCALE_TASKS

Value = Callable[[Scores, Costs], float | None]


def _percent(key: str) -> Value:
    def value(scores: Scores, _: Costs) -> float | None:
        found = scores.get(key)
        return found["percent"] if isinstance(found, dict) else None

    return value


PANELS: dict[str, Value] = {
    "still detected, %": _percent("still_detected"),
    "unlisted, %": _percent("rest"),
    "of two subjects, the other, %": _percent("other_of_two"),
    "seconds to make the edit": lambda _, costs: costs.get("seconds"),
}


def curves_figure(scores: BenchScores, costs: BenchCosts) -> Figure:
    """Returns a figure with a panel for each value, and a line for each method over the number of objects."""
    numbers = {task.name: len(task.concepts) for task in SCALE_TASKS if task.name in scores}
    methods = list(dict.fromkeys(name for task in numbers for name in scores[task]))
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10.5, 7.6), layout="constrained")
        for axis, (label, value) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
            for name, marker in zip(methods, MARKERS, strict=False):
                found = [(n, value(scores[t][name], costs[t][name])) for t, n in numbers.items() if name in scores[t]]
                points = [(number, y) for number, y in found if y is not None]
                if points:
                    axis.plot(
                        *zip(*points, strict=True),
                        linestyle="--" if name == UNTOUCHED else "-",
                        linewidth=3.5 if name == OURS else 1.5,
                        zorder=3 if name == OURS else 2,
                        marker=marker,
                        color=COLOURS.get(name),
                        label=name,
                    )
            axis.set(xlabel="objects forgotten together", ylabel=label, xscale="log")
            axis.set_xticks(list(numbers.values()), [str(number) for number in numbers.values()])
            axis.minorticks_off()
            axis.grid(color="#e6e8eb")
            axis.set_axisbelow(True)
        seconds = figure.axes[3]
        seconds.set_yscale("symlog", linthresh=1)
        seconds.set_ylim(-0.3, max(1, 2 * seconds.dataLim.y1))  # symlog would go as far below zero as above
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False)
    return figure
