"""The report of an evaluation: one HTML file that holds everything and needs no network."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup
from PIL import Image

from ..drawing.figure import Column, comparison_figure
from ..drawing.gallery import Gallery
from ..files import written_whole
from ..masks.mask import NeuronMask
from . import summary
from .charts import SHOULD, bars_figure, layers_figure, tradeoff_figure
from .pages import fill_page
from .questions import Group, first_of_each
from .records import EvaluationResult, Scores, TaskResult
from .run import UNTOUCHED, Evaluation
from .tasks import Task

HEADLINES = ("still_detected", "kept", "rest", "detections", "clip_artist", "clip_score")
MOST_SHOWN: dict[Group, int] = {"forgotten": 5, "kept": 4, "rest": 3}  # images of a state
MOST_FOLDED, MOST_NAMES = 400, 8  # images of each state in the page, and names of a group in the summary
LARGEST = 256  # pixels of an image in the page
LIST = "images.csv"  # says which file has which prompt
GROUP_METRICS: dict[str, Group] = {"still_detected": "forgotten", "kept": "kept", "rest": "rest"}


class Row(TypedDict):
    """An image in every state.

    Attributes:
        prompt: the prompt.
        seed: the seed.
        file: name of the file in the folder of each state.
        cells: the image's data URL in each state, and what the judge sees in it.
    """

    prompt: str
    seed: int
    file: str
    cells: list[tuple[str, str]]


class Fold(TypedDict):
    """The images that ask for one thing.

    Attributes:
        name: what they ask for; empty if there is no right answer.
        group: the group that it belongs to.
        rows: the images.
    """

    name: str
    group: Group
    rows: list[Row]


class Section(TypedDict):
    """What the page shows about a task.

    Attributes:
        name: name of the task.
        measured_with: names of judges, networks and reference images.
        images: number of images of each state.
        shown: number of them that the page shows.
        folder: folder of the images, relative to the page.
        states: names of the states.
        rows: each metric with its value in every state.
        grid: data URL of the first images.
        folds: the images, by what they ask for.
        bars: a bar for each class, as SVG.
        variants: a bar for each way of asking, as SVG.
        tradeoff: still detected against kept, as SVG.
    """

    name: str
    measured_with: list[str | None]
    images: int
    shown: int
    folder: str
    states: list[str]
    rows: list[tuple[summary.Metric, list[str]]]
    grid: str
    folds: list[Fold]
    bars: Markup | None
    variants: Markup | None
    tradeoff: Markup | None


def write_report(
    evaluation: Evaluation, result: EvaluationResult, tasks: Sequence[Task], mask: NeuronMask | None
) -> None:
    """Writes `report.html`, and for each task a list of its images.

    Args:
        evaluation: the evaluation, whose folder holds the images.
        result: the content of results.json.
        tasks: the tasks of the result.
        mask: the mask that was evaluated; None for another edit.
    """
    page = fill_page(
        "report.html",
        result=result,
        names=[concept["name"] for concept in result["forgotten"]],
        headlines=[row for task in tasks for row in headlines(task, result["tasks"][task.name]["states"])],
        should=SHOULD,
        list=LIST,
        sections=[section(evaluation, task, result["tasks"][task.name]) for task in tasks],
        mask=mask,
        layers=layers_figure(mask) if mask is not None else None,
    )
    with written_whole(evaluation.out / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
    for task in tasks:
        with written_whole(evaluation.folder(task, UNTOUCHED).parent / LIST) as partial:
            write_list(task, partial)


def write_list(task: Task, file: Path) -> None:
    """Writes which file has which prompt, for all states of a task."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["file", "prompt", "seed", "asks for", "group"])
        for i, question in enumerate(task.questions):
            request = question.request
            table.writerow([Gallery.name(i), request.prompt, request.seed, question.answer, question.group])


def section(evaluation: Evaluation, task: Task, result: TaskResult) -> Section:
    """Returns what the page shows about a task."""
    states, number = result["states"], len(task.questions)
    images = {state: Gallery.numbered(evaluation.folder(task, state), number) for state in states}
    groups = {question.answer: question.group for question in task.questions}
    return {
        "name": task.name,
        "measured_with": [identity["name"] for identity in result["measured_with"]],
        "images": result["images"],
        "shown": min(MOST_FOLDED, number),
        "folder": evaluation.folder(task, UNTOUCHED).parent.relative_to(evaluation.out).as_posix(),
        "states": list(states),
        "rows": summary.rows(states),
        "grid": inline(grid(task, images)),
        "folds": folds(task, images),
        "bars": bars_figure(states, "by_answer", groups),
        "variants": bars_figure(states, "by_variant", {}),
        "tradeoff": tradeoff_figure(states),
    }


def headlines(task: Task, states: Mapping[str, Scores]) -> list[tuple[str, summary.Metric, str, list[str]]]:
    """Returns the task's most important metrics, with the names they are about and their values in every state."""
    rows = []
    for metric, values in summary.rows(states):
        if metric.path[0] in HEADLINES:
            group = GROUP_METRICS.get(metric.path[0])
            rows.append((task.name, metric, members(task, group) if group else "", values))
    return rows


def members(task: Task, group: Group) -> str:
    """Returns the names of a group, at most MOST_NAMES of them."""
    names = list(dict.fromkeys(own.answer for own in task.questions if own.group == group and own.answer))
    rest = [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return ", ".join(names[:MOST_NAMES] + rest)


def folds(task: Task, images: Mapping[str, Sequence[Image.Image]], most: int = MOST_FOLDED) -> list[Fold]:
    """Returns the first images of a task, by what they ask for: first what should be gone, then what is to be kept."""
    indices = range(min(most, len(task.questions)))
    seen = {state: task.look(row, indices) for state, row in images.items()}
    found: dict[tuple[Group, str], Fold] = {}
    for i in indices:
        question, request = task.questions[i], task.questions[i].request
        cells = [(thumbnail(row[i], task.is_explicit), seen[state][i]) for state, row in images.items()]
        row: Row = {"prompt": request.prompt, "seed": request.seed, "file": Gallery.name(i), "cells": cells}
        new: Fold = {"name": question.answer, "group": question.group, "rows": []}
        found.setdefault((question.group, question.answer), new)["rows"].append(row)
    return sorted(found.values(), key=lambda fold: list(SHOULD).index(fold["group"]))


def thumbnail(image: Image.Image, is_explicit: bool) -> str:
    """Returns the data URL of an image that is at most LARGEST pixels wide and high; coarse if it is explicit."""
    small = coarse(image) if is_explicit else image.copy()
    small.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    small.save(file, format="WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def grid(
    task: Task, images: Mapping[str, Sequence[Image.Image]], most: Mapping[Group, int] = MOST_SHOWN
) -> Image.Image:
    """Returns a picture of the first images of each group, with one row for each state, and what the judge sees.

    Explicit images are pixelated.

    Args:
        task: the task of the images.
        images: the images by state.
        most: the largest number of classes (or prompts) from each group.
    """
    chosen = first_of_each(task.questions, most)
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
    """Returns the image pixelated to 12 x 12."""
    return image.resize((12, 12), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)


def inline(image: Image.Image) -> str:
    """Returns an image as a data URL."""
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
