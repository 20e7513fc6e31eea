"""The report of a protocol: one HTML file that sets the result beside the paper's table."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from ...drawing.gallery import Gallery
from ...evaluation import summary
from ...evaluation.charts import svg
from ...evaluation.pages import fill_page
from ...evaluation.records import Costs, Scores, TaskResult
from ...evaluation.report import grid, inline
from ...evaluation.run import RANDOM, UNTOUCHED, Evaluation
from ...evaluation.summary import Metric
from ...evaluation.tasks import Task
from ...files import written_whole
from ..edit_store import OURS
from ..report import tradeoff_figure
from .methods import SOURCES
from .protocols import ZEROS, Protocol
from .run import Plan, Result


class Section(TypedDict):
    """What the page shows about an evaluation task.

    Attributes:
        name: name of the task.
        images: number of images of each state.
        measured_with: names of judges, networks and reference images.
        metrics: what was measured.
        rows: each state with its values.
        grid: data URL of the first images.
    """

    name: str
    images: int
    measured_with: list[str | None]
    metrics: list[Metric]
    rows: list[tuple[str, list[str]]]
    grid: str


def write_report(plan: Plan, evaluation: Evaluation, result: Result, costs: Mapping[str, Costs]) -> None:
    """Writes `report.html` from the content of results.json and costs.json."""
    main = result["tasks"][plan.protocol.measured]["states"]
    figure = None
    if plan.protocol.task.keep:
        figure = svg(tradeoff_figure({plan.protocol.task.name: main}), "What is still detected against what is kept")
    page = fill_page(
        "reproduce.html",
        "fia.bench.reproduce",
        result=result,
        protocol=plan.protocol,
        concepts=[concept.name for concept in plan.protocol.task.concepts],
        rows=beside_the_paper(plan.protocol, result["tasks"], plan.states),
        ours=(OURS, ZEROS),
        controls=(UNTOUCHED, RANDOM),
        tradeoff=figure,
        sections=[section(evaluation, task, result["tasks"][task.name]) for task in plan.tasks],
        methods=[
            (name, SOURCES[name], method.paper, costs[name].get("seconds"), costs[name].get("megabytes"))
            for name, method in plan.methods.items()
        ],
    )
    with written_whole(evaluation.out / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")


def beside_the_paper(
    protocol: Protocol, tasks: Mapping[str, TaskResult], states: Sequence[str]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns each method with what was measured here and what the paper published, for each column of its table.

    The methods that the paper alone has come last.
    """
    others = dict.fromkeys(name for column in protocol.published for name in column.values if name not in states)
    rows = []
    for name in (*states, *others):
        cells = []
        for column in protocol.published:
            scores: Scores = tasks[column.task]["states"].get(name, {}) if column.task in tasks else {}
            measured = summary.value_at(scores, Metric(column.path, column.label))
            published = column.values.get(name)
            cells.append((summary.read(measured), "-" if published is None else str(published)))
        rows.append((name, cells))
    return rows


def section(evaluation: Evaluation, task: Task, result: TaskResult) -> Section:
    """Returns what the page shows about an evaluation task."""
    states = result["states"]
    table = summary.rows(states)
    images = {name: Gallery.numbered(evaluation.folder(task, name), len(task.questions)) for name in states}
    return {
        "name": task.name,
        "images": result["images"],
        "measured_with": [identity["name"] for identity in result["measured_with"]],
        "metrics": [metric for metric, _ in table],
        "rows": [(name, [values[i] for _, values in table]) for i, name in enumerate(states)],
        "grid": inline(grid(task, images)),
    }


def text(plan: Plan, result: Result) -> str:
    """Returns the result beside the paper's table, for the terminal."""
    parts = []
    for i, column in enumerate(plan.protocol.published):
        lines = [f"{column.label:<52}{'measured':>24}{'paper, ' + plan.protocol.model:>32}"]
        for name, cells in beside_the_paper(plan.protocol, result["tasks"], plan.states):
            lines.append(f"  {name:<50}{cells[i][0]:>24}{cells[i][1]:>32}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
