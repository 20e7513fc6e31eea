"""Draws figures for docs/ from the JSON files there, and training.png from the curves of the embedded model.

`scripts/measure_settings.py`, `benchmarks/ablations.py`, `benchmarks/neighbours.py` and `fia testbed train` write these
files.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from measure_settings import AGNOSTIC_RATIOS, ALONE_RATIOS, SPATIAL_RATIOS, AloneRow, alone_key
from settings_bench import BASE, DOCS, Row, five_key

from fia.drawing.figure import GONE, KEPT, QUIET
from fia.evaluation.records import Scores
from fia.evaluation.run import UNTOUCHED
from fia.testbed.pretrained import FOLDER

Key = Literal["still_detected", "kept", "rest"]
REST = "#2b6cb0"
LINES: tuple[tuple[Key, str, str], ...] = (
    ("still_detected", GONE, "forgotten: still detected"),
    ("kept", KEPT, "kept"),
    ("rest", REST, "all others"),
)
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


def percent(scores: Scores, key: Key) -> float:
    """Returns the percentage of a group, which must have images."""
    value = scores[key]
    assert value is not None
    return value["percent"]


def draw_tradeoff(results: dict[str, Any]) -> None:
    """Plots what is detected over r2: for five objects together, at each alpha, and for one object alone."""
    figure, axes = plt.subplots(1, len(AGNOSTIC_RATIOS) + 1, figsize=(14, 3.9), sharey=True, layout="constrained")
    untouched: Row = results["untouched"]
    ratios = [100 * r2 for r2 in SPATIAL_RATIOS]
    for axis, alpha in zip(axes[:-1], AGNOSTIC_RATIOS, strict=True):
        rows: list[Row] = [results[five_key(BASE, spatial_ratio=r2, agnostic_ratio=alpha)] for r2 in SPATIAL_RATIOS]
        for key, colour, label in LINES:
            axis.plot(ratios, [percent(row, key) for row in rows], "o-", color=colour, label=label)
            axis.axhline(percent(untouched, key), color=colour, linewidth=0.8, linestyle=":")
        axis.set_title("five together, " + ("union" if alpha > 1 else f"alpha = {alpha}"))
    alone: list[AloneRow] = [results[alone_key(r2)] for r2 in ALONE_RATIOS]
    ratios = [100 * r2 for r2 in ALONE_RATIOS]
    axes[-1].plot(ratios, [row["still_detected"] for row in alone], "o-", color=GONE)
    axes[-1].plot(ratios, [row["rest"] for row in alone], "o-", color=REST)
    before = [value["percent"] for value in untouched["by_answer"].values()]
    axes[-1].axhline(sum(before) / len(before), color=QUIET, linewidth=0.8, linestyle=":")
    axes[-1].set_title("one alone, mean of five")
    for axis in axes:
        axis.set_xlabel("r2, %")
    axes[0].set_ylabel("detected, %")
    axes[0].set_ylim(-3, 103)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(DOCS / "tradeoff.png", dpi=110)


def draw_curves(curves: Mapping[str, list[list[float]]]) -> None:
    """Plots the loss of every stage over its steps, with a running median."""
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


def draw_ablations(rows: Mapping[str, Scores]) -> None:
    """Plots still detected, kept and rest for every variant, with one panel for each question."""
    panels: dict[str, dict[str, Scores]] = {}
    for name, row in rows.items():
        heading, _, variant = name.partition(": ")
        if variant:
            panels.setdefault(heading, {})[variant.replace(", ", ",\n")] = row
    columns = 3
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(14, 2.5 * lines), sharex=True, layout="constrained")
    looks = (("o", 5), ("s", 7), ("D", 9))
    for axis, (heading, variants) in zip(axes.flat, panels.items(), strict=False):
        places = range(len(variants))
        for (key, colour, label), (marker, size) in zip(LINES, looks, strict=True):  # smaller ones on top
            values = [percent(row, key) for row in variants.values()]
            axis.plot(values, places, marker, color=colour, label=label, markersize=size, zorder=10 - size / 2)
        axis.set_yticks(places, list(variants))
        axis.set_ylim(len(variants) - 0.5, -0.5)
        axis.set_xlim(-3, 103)
        axis.set_title(heading, loc="left")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis in figure.axes[-columns:]:
        axis.set_xlabel("detected, %")
        axis.xaxis.set_tick_params(labelbottom=True)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(DOCS / "ablations.png", dpi=110)


def draw_neighbours(tasks: Mapping[str, Mapping[str, Scores]]) -> None:
    """Plots still detected against the neighbours and all others, with a line from weaker to stronger settings."""
    names = [name for name in next(iter(tasks.values())) if name not in (UNTOUCHED, "negative prompt")]
    points: dict[str, list[dict[Key, float]]] = {}
    for name in names:
        means = {key: sum(percent(rows[name], key) for rows in tasks.values()) / len(tasks) for key, _, _ in LINES}
        points.setdefault(name.partition(",")[0], []).append(means)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharex=True, sharey=True, layout="constrained")
    columns: tuple[tuple[Key, str], ...] = (("kept", "its three neighbours"), ("rest", "all others"))
    for axis, (column, title) in zip(axes, columns, strict=True):
        looks = zip(("o", "s", "^", "v", "D", "P", "X"), (GONE, "C0", "C1", "C2", "C5", "C4", QUIET), strict=True)
        for (name, strengths), (marker, colour) in zip(points.items(), looks, strict=True):
            still, others = [s["still_detected"] for s in strengths], [s[column] for s in strengths]
            axis.plot(still, others, f"{marker}-", color=colour, label=name, linewidth=1)
            axis.plot(still[-1], others[-1], marker, color=colour, markersize=10)
        axis.set(title=title, xlabel="the one forgotten: still detected, %", xlim=(-4, 104))
    axes[0].set_ylabel("detected, %")
    handles, labels = axes[0].get_legend_handles_labels()
    title = "small marks: settings for five objects; large marks: stronger settings"
    figure.legend(handles, labels, loc="outside lower center", ncols=len(points), title=title)
    figure.savefig(DOCS / "neighbours.png", dpi=110)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    plt.rcParams.update(STYLE)
    draw_neighbours(json.loads((DOCS / "neighbours.json").read_text())["tasks"])
    draw_ablations(json.loads((DOCS / "ablations.json").read_text())["rows"])
    draw_tradeoff(json.loads((DOCS / "settings.json").read_text()))
    draw_curves(json.loads((FOLDER / "curves.json").read_text()))
