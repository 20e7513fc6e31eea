"""Draws figures of docs/ from the JSON there, and training.png from the curves beside the embedded model.

`scripts/measure_settings.py`, `benchmarks/ablations.py`, `benchmarks/neighbours.py` and `fia testbed train` write them.
"""

import json
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from measure_settings import AGNOSTIC_RATIOS, ALONE_RATIOS, SPATIAL_RATIOS, alone_key
from settings_bench import DOCS, five_key

from fia.testbed.pretrained import FOLDER

GONE, KEPT, REST, QUIET = "#c0392b", "#1e7e46", "#2b6cb0", "#6a737d"
ACCURACIES = ("forgetting_accuracy", "preserving_accuracy", "preserving_accuracy_rest")
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
}


def draw_tradeoff(results: dict) -> None:
    """Accuracies over r2: five objects together, for each alpha, and one object alone."""
    figure, axes = plt.subplots(1, len(AGNOSTIC_RATIOS) + 1, figsize=(14, 3.6), sharey=True, layout="constrained")
    lines = (
        ("forgetting_accuracy", GONE, "the five forgotten"),
        ("preserving_accuracy", KEPT, "the five kept"),
        ("preserving_accuracy_rest", REST, "all others"),
    )
    untouched = results["untouched"]
    for axis, alpha in zip(axes[:-1], AGNOSTIC_RATIOS, strict=True):
        rows = [results[five_key(spatial_ratio=r2, agnostic_ratio=alpha)] for r2 in SPATIAL_RATIOS]
        for key, colour, label in lines:
            axis.plot([100 * r2 for r2 in SPATIAL_RATIOS], [row[key] for row in rows], "o-", color=colour, label=label)
            axis.axhline(untouched[key], color=colour, linewidth=0.8, linestyle=":")
        axis.set_title("five together, " + ("union" if alpha > 1 else f"alpha = {alpha}"))
        axis.set_xlabel("r2, %")
    rows = [results[alone_key(r2)] for r2 in ALONE_RATIOS]
    ratios = [100 * r2 for r2 in ALONE_RATIOS]
    axes[-1].plot(ratios, [row["alone"] for row in rows], "o-", color=GONE, label="the one forgotten")
    axes[-1].plot(ratios, [row["others"] for row in rows], "o-", color=REST, label="all others")
    before = untouched["by_object"]
    axes[-1].axhline(sum(before.values()) / len(before), color=QUIET, linewidth=0.8, linestyle=":")
    axes[-1].set_title("one alone, mean of five")
    axes[-1].set_xlabel("r2, %")
    axes[0].set_ylabel("recognised, %")
    axes[0].set_ylim(-3, 103)
    for axis in (axes[0], axes[-1]):
        axis.legend(fontsize=9)
    figure.savefig(DOCS / "tradeoff.png", dpi=110)


def draw_curves(curves: dict) -> None:
    """The loss of every stage over its steps, with a running median."""
    figure, axes = plt.subplots(1, len(curves), figsize=(14, 3), layout="constrained")
    for axis, (name, curve) in zip(axes, curves.items(), strict=True):
        steps, losses = np.array(curve).T
        axis.semilogy(steps, losses, color="#cfd4da", linewidth=0.8)
        width = max(1, len(losses) // 40)
        middle = [np.median(losses[max(0, i - width) : i + width + 1]) for i in range(len(losses))]
        axis.semilogy(steps, middle, color=REST)
        axis.set_title(name)
        axis.set_xlabel("step")
        axis.locator_params(axis="x", nbins=4)
    axes[0].set_ylabel("loss")
    figure.savefig(DOCS / "training.png", dpi=110)


def draw_ablations(rows: dict) -> None:
    """What is forgotten, kept and left of the rest for every variant, a panel for each question."""
    panels: dict[str, dict[str, dict]] = {}
    for name, row in rows.items():
        heading, _, variant = name.partition(": ")
        if variant:
            panels.setdefault(heading, {})[variant] = row
    columns = 3
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(14, 2.5 * lines), sharex=True, layout="constrained")
    points = (
        ("forgetting_accuracy", GONE, "o", 5, "the five forgotten"),
        ("preserving_accuracy", KEPT, "s", 7, "the five kept"),
        ("preserving_accuracy_rest", REST, "D", 9, "all others"),
    )
    for axis, (heading, variants) in zip(axes.flat, panels.items(), strict=False):
        places = range(len(variants))
        for key, colour, marker, size, label in points:  # smaller ones on top, where they coincide
            values = [row[key]["percent"] for row in variants.values()]
            axis.plot(values, places, marker, color=colour, label=label, markersize=size, zorder=10 - size / 2)
        axis.set_yticks(places, list(variants))
        axis.set_ylim(len(variants) - 0.5, -0.5)
        axis.set_xlim(-3, 103)
        axis.set_title(heading, loc="left")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis in figure.axes[-columns:]:
        axis.set_xlabel("recognised, %")
        axis.xaxis.set_tick_params(labelbottom=True)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(DOCS / "ablations.png", dpi=110)


def draw_neighbours(tasks: dict) -> None:
    """What is forgotten against what is kept, of the neighbours and of all others; a line from weaker to stronger."""
    names = [name for name in next(iter(tasks.values())) if name not in ("no edit", "negative prompt")]
    points: dict[str, list[list[float]]] = {}
    for name in names:
        values = [[row[name][key]["percent"] for row in tasks.values()] for key in ACCURACIES]
        points.setdefault(name.partition(",")[0], []).append([sum(value) / len(value) for value in values])
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
    for axis, column, title in ((axes[0], 1, "its neighbours"), (axes[1], 2, "all others")):
        looks = zip(("o", "s", "^", "v", "D", "P", "X"), (GONE, "C0", "C1", "C2", "C5", "C4", QUIET), strict=True)
        for (name, strengths), (marker, colour) in zip(points.items(), looks, strict=True):
            forgotten = [strength[0] for strength in strengths]
            axis.plot(forgotten, [s[column] for s in strengths], f"{marker}-", color=colour, label=name, linewidth=1)
            axis.plot(*(strengths[-1][i] for i in (0, column)), marker, color=colour, markersize=10)
        axis.set(title=title, xlabel="the one forgotten: still seen, %", xlim=(-4, 104))
    axes[0].set_ylabel("still seen, %")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(points))
    figure.savefig(DOCS / "neighbours.png", dpi=110)


if __name__ == "__main__":
    plt.rcParams.update(STYLE)
    draw_neighbours(json.loads((DOCS / "neighbours.json").read_text())["tasks"])
    draw_ablations(json.loads((DOCS / "ablations.json").read_text())["rows"])
    draw_tradeoff(json.loads((DOCS / "settings.json").read_text()))
    draw_curves(json.loads((FOLDER / "curves.json").read_text()))
