"""The charts of an evaluation's report, as SVG."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..drawing.figure import GONE, KEPT, QUIET
from ..masks.mask import NeuronMask
from .questions import Group
from .records import Scores
from .run import RANDOM, UNTOUCHED

EDITED = "#2b6cb0"  # neither the colour of "gone" nor that of "kept"
COLOURS = {UNTOUCHED: QUIET, RANDOM: "#b4bcc5"}  # of the untouched model and the control
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}
SHOULD: dict[Group, str] = {"forgotten": "should be gone", "kept": "named to keep", "rest": "should stay"}


def bars_figure(
    states: Mapping[str, Scores], key: Literal["by_answer", "by_variant"], groups: Mapping[str, Group]
) -> Markup | None:
    """Returns a chart with a bar for each class (or way of asking) and state, in percent; None for fewer than two.

    The bars of the edited model are red for what should be gone, and green for everything else.

    Args:
        states: the scores by state.
        key: what the bars are for: the classes, or the ways of asking.
        groups: the group of each class. A name without a group is a way of asking for a forgotten concept.
    """
    order: dict[Group, int] = {"forgotten": 0, "kept": 1, "rest": 2}
    classes = list(next(iter(states.values())).get(key, {}))
    if len(classes) < 2:
        return None
    classes.sort(key=lambda name: order[groups.get(name, "forgotten")])
    should_go = [groups.get(name, "forgotten") == "forgotten" for name in classes]
    legend: dict[str, str] = {}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.5 + 0.26 * len(classes)), layout="constrained")
        axis = figure.subplots()
        height = 0.8 / len(states)
        for n, (state, scores) in enumerate(states.items()):
            if state in COLOURS:
                colours = [COLOURS[state]] * len(classes)
                legend[state] = COLOURS[state]
            else:
                colours = [GONE if gone else KEPT for gone in should_go]
                legend |= {f"{state}: should be gone": GONE} if any(should_go) else {}
                legend |= {f"{state}: should be kept": KEPT} if not all(should_go) else {}
            positions = [i + (n - (len(states) - 1) / 2) * height for i in range(len(classes))]
            axis.barh(positions, [scores[key][name]["percent"] for name in classes], height, color=colours)
        axis.set(
            yticks=range(len(classes)),
            yticklabels=[labelled(name, groups) for name in classes],
            ylim=(len(classes) - 0.5, -0.5),
            xlim=(0, 100),
            xlabel="detected, %",
        )
        handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in legend.values()]
        axis.legend(handles, list(legend), frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        return svg(figure, "How often each is detected in every state")


def labelled(name: str, groups: Mapping[str, Group]) -> str:
    """Returns the name of a class with what should become of it; of a way of asking, the name alone."""
    should = f" ({SHOULD[groups[name]]})" if name in groups else ""
    return name.replace("$", r"\$") + should


def tradeoff_figure(states: Mapping[str, Scores]) -> Markup | None:
    """Returns a chart of still detected against kept, with a point for each state; None if nothing is kept."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axis = figure.subplots()
        for state, scores in states.items():
            gone, kept = scores.get("still_detected"), scores.get("kept")
            if gone is None or kept is None:
                return None
            axis.errorbar(
                gone["percent"],
                kept["percent"],
                xerr=[[abs(gone["percent"] - end)] for end in gone["interval"]],
                yerr=[[abs(kept["percent"] - end)] for end in kept["interval"]],
                fmt="o",
                color=COLOURS.get(state, EDITED),
                label=state,
            )
        axis.set(xlim=(-3, 103), ylim=(-3, 103), xlabel="still detected, %", ylabel="kept concepts detected, %")
        axis.grid(color="#e6e8eb")
        axis.legend(frameon=False, loc="lower center")
        return svg(figure, "What is still detected against what is kept")


def layers_figure(mask: NeuronMask) -> Markup:
    """Returns a chart of the share of each layer that a mask changes."""
    sparsity = {name: 100 * share for name, share in mask.layer_sparsity.items()}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.6 + 0.22 * len(sparsity)), layout="constrained")
        axis = figure.subplots()
        axis.barh(range(len(sparsity)), list(sparsity.values()), color=EDITED)
        axis.set(yticks=range(len(sparsity)), yticklabels=list(sparsity), xlabel="changed, % of the layer")
        axis.invert_yaxis()
        return svg(figure, "Where in the network the mask lies")


def svg(figure: Figure, title: str) -> Markup:
    """Returns a figure as an SVG element, with a title for screen readers."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Title": title})
    text = file.getvalue()
    return Markup(text[text.index("<svg") :])
