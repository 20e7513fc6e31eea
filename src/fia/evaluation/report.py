"""The report of an evaluation: one HTML file with everything in it, that reads on any machine without a network."""

import base64
import datetime
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from ..drawing.figure import Column, comparison_figure
from ..drawing.gallery import Gallery
from ..files import written_whole
from ..masks.mask import NeuronMask
from . import summary
from .questions import first_of_each
from .run import Evaluation
from .tasks import Task

HEADLINES = ("forgetting_accuracy", "preserving_accuracy", "detections", "clip_artist", "clip_score")
COLOURS = ("#6a737d", "#c0392b", "#9aa5b1")  # untouched, edited, control
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}


def write_report(
    evaluation: Evaluation, result: Mapping[str, Any], tasks: Sequence[Task], mask: NeuronMask | None
) -> None:
    """Writes `report.html`.

    Args:
        evaluation: with the images.
        result: as in results.json.
        tasks: of the result.
        mask: that was evaluated, if it was one.
    """
    environment = Environment(
        loader=PackageLoader("fia.evaluation", "templates"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html").render(
        result=result,
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        names=[concept["name"] for concept in result["forgotten"]],
        findings=[row for task in tasks for row in findings(task.name, result["tasks"][task.name]["states"])],
        sections=[section(evaluation, task, result["tasks"][task.name]) for task in tasks],
        mask=mask,
        layers=layers_figure(mask) if mask is not None else None,
    )
    with written_whole(evaluation.out / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")


def section(evaluation: Evaluation, task: Task, found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the page shows of a task."""
    states, number = found["states"], len(task.questions)
    images = {state: Gallery.numbered(evaluation.folder(task, state), number) for state in states}
    return {
        "name": task.name,
        "measured_with": [identity["name"] for identity in found["measured_with"]],
        "images": found["images"],
        "states": list(states),
        "rows": summary.rows(states),
        "grid": inline(grid(task, images)),
        "bars": bars_figure(states, "by_answer"),
        "variants": bars_figure(states, "by_variant"),
        "tradeoff": tradeoff_figure(states),
    }


def findings(name: str, states: Mapping[str, Any]) -> list[tuple[str, summary.Metric, list[str]]]:
    """Returns the task's numbers that a reader in a hurry needs, in every state."""
    return [(name, metric, values) for metric, values in summary.rows(states) if metric.path[0] in HEADLINES]


def grid(task: Task, images: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Returns the first images of what is forgotten, kept and left, a row a state, with what the judge sees in them.

    Explicit images are made too coarse to see.

    Args:
        task: that the images are of.
        images: by state.
    """
    chosen = first_of_each(task.questions, {"forgotten": 5, "kept": 4, "rest": 3})
    answers = {state: task.look(row, chosen) for state, row in images.items()}
    columns = []
    for n, i in enumerate(chosen):
        question = task.questions[i]
        shown = [coarse(row[i]) if task.is_explicit else row[i] for row in images.values()]
        seen = [row[n] for row in answers.values()]
        label = question.answer or question.request.prompt
        columns.append(Column(label, shown, seen if any(seen) else (), question.group))
    return comparison_figure(columns, [state.replace(" ", "\n", 1) for state in images])


def coarse(image: Image.Image) -> Image.Image:
    """Returns the image in a dozen pixels each way."""
    return image.resize((12, 12), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)


def bars_figure(states: Mapping[str, Any], key: str) -> Markup | None:
    """Returns a bar for each class or way of asking, and state, in percent; None where there are not two of them."""
    classes = list(next(iter(states.values())).get(key, {}))
    if len(classes) < 2:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.5 + 0.26 * len(classes)), layout="constrained")
        axis = figure.subplots()
        height = 0.8 / len(states)
        for n, ((state, scores), colour) in enumerate(zip(states.items(), COLOURS, strict=False)):
            values = [scores[key][name]["percent"] for name in classes]
            positions = [i + (n - (len(states) - 1) / 2) * height for i in range(len(classes))]
            axis.barh(positions, values, height, color=colour, label=state)
        axis.set(
            yticks=range(len(classes)),
            yticklabels=[name.replace("$", r"\$") for name in classes],
            xlim=(0, 100),
            xlabel="recognised, %",
        )
        axis.invert_yaxis()
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        return svg(figure, "How often each is recognised in every state")


def tradeoff_figure(states: Mapping[str, Any]) -> Markup | None:
    """Returns forgotten against kept, a point a state, with intervals; None where nothing is kept."""
    points = {
        state: (scores.get("forgetting_accuracy"), scores.get("preserving_accuracy"))
        for state, scores in states.items()
    }
    if not all(all(point) for point in points.values()):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axis = figure.subplots()
        for (state, (gone, kept)), colour in zip(points.items(), COLOURS, strict=False):
            axis.errorbar(
                gone["percent"],
                kept["percent"],
                xerr=[[abs(gone["percent"] - end)] for end in gone["interval"]],
                yerr=[[abs(kept["percent"] - end)] for end in kept["interval"]],
                fmt="o",
                color=colour,
                label=state,
            )
        axis.set(xlim=(-3, 103), ylim=(-3, 103), xlabel="recognised, should be gone, %", ylabel="recognised, kept, %")
        axis.grid(color="#e6e8eb")
        axis.legend(frameon=False, loc="lower center")
        return svg(figure, "What is forgotten against what is kept")


def layers_figure(mask: NeuronMask) -> Markup:
    """Returns the share of each layer that a mask prunes."""
    shares = {name: 100 * share for name, share in mask.layer_sparsity.items()}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.6 + 0.22 * len(shares)), layout="constrained")
        axis = figure.subplots()
        axis.barh(range(len(shares)), list(shares.values()), color=COLOURS[1])
        names = [name.removesuffix(".ff.net.2").replace("transformer_blocks", "block") for name in shares]
        axis.set(yticks=range(len(shares)), yticklabels=names, xlabel="pruned, % of the layer")
        axis.invert_yaxis()
        return svg(figure, "Where in the network the mask lies")


def svg(figure: Figure, title: str) -> Markup:
    """Returns a figure as an SVG element with a title for those who listen."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Title": title})
    text = file.getvalue()
    return Markup(text[text.index("<svg") :])


def inline(image: Image.Image) -> str:
    """Returns an image as a data URL."""
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
