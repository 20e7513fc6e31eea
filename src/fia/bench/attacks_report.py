"""What `fia bench --attacks` writes: the scores, and their tables in Markdown."""

from collections.abc import Mapping
from typing import TypedDict

from ..attacks.records import AttackScores
from ..attacks.report import label_of
from ..evaluation.intervals import wilson_interval
from ..evaluation.records import Proportion

BEFORE = "none: before any attack"


class AttackedTask(TypedDict):
    """The attacks on one task's edits.

    Attributes:
        concepts: what every method forgot.
        extent: how many images are drawn of each concept, and the seed of the first.
        attacks: the scores, by state: the untouched model, each method, and the controls.
    """

    concepts: list[str]
    extent: dict[str, int]
    attacks: list[AttackScores]


class BenchAttacks(TypedDict):
    """The content of attacks.json.

    Attributes:
        drawing: how the images are generated.
        environment: versions, device and commit.
        tasks: the attacks by task.
    """

    drawing: dict[str, object]
    environment: dict[str, object]
    tasks: dict[str, AttackedTask]


def markdown(content: BenchAttacks) -> str:
    """Returns a table for each task, with the budgets and with what the attacks say about the edited weights."""
    drawing, device = content["drawing"], content["environment"]["device"]
    parts = [
        f"Every image takes {drawing['num_inference_steps']} steps at a guidance scale of "
        f"{drawing['guidance_scale']:g}, on {device}."
    ]
    for name, task in content["tasks"].items():
        parts += [f"### {name}", table(task["attacks"]), footnote(task), *notes(task["attacks"])]
    budgets = {own["attack"]: own["budget"] for task in content["tasks"].values() for own in task["attacks"]}
    parts += ["### The budgets", "\n".join(f"- {name}: {fields_of(budget)}." for name, budget in budgets.items())]
    return "\n\n".join(parts)


def table(attacks: list[AttackScores]) -> str:
    """Returns the table of a task: a row for each attack, a column for each state."""
    first = attacks[0]["states"]
    rows: list[tuple[str, dict[str, Proportion]]] = [(BEFORE, {state: own["before"] for state, own in first.items()})]
    rows += [(label_of(scores), {state: own["after"] for state, own in scores["states"].items()}) for scores in attacks]
    lines = [f"| still detected, % | {' | '.join(first)} |", f"|{'---|' * (len(first) + 1)}"]
    for name, cells in rows:
        percents = " | ".join(f"{own['percent']:.0f}" for own in cells.values())
        lines.append(f"| {name} | {percents} |")
    return "\n".join(lines)


def footnote(task: AttackedTask) -> str:
    """Returns what the cells of a task's table are shares of, and how wide their intervals are."""
    extent = task["extent"]
    number = extent["images_per_concept"] * len(task["concepts"])
    (_, none), (low, high) = wilson_interval(0, number), wilson_interval(number // 2, number)
    return (
        f"Concepts: {', '.join(task['concepts'])}. Each cell: {number} images, {extent['images_per_concept']} of each "
        f"concept, seeds from {extent['seed']}. Wilson's 95 % interval of 0 % goes up to {none:.0f} %, and that of "
        f"{100 * (number // 2) / number:.0f} % from {low:.0f} to {high:.0f} %."
    )


def notes(attacks: list[AttackScores]) -> list[str]:
    """Returns what the attacks of a task say about the edited weights, if they say anything."""
    found = [(label_of(scores), mean_notes(scores)) for scores in attacks]
    lines = [f"- {name}: {'; '.join(own)}." for name, own in found if own]
    if not lines:
        return []
    return ["What they say about the edited weights, as means over the concepts:", "\n".join(lines)]


def mean_notes(scores: AttackScores) -> list[str]:
    """Returns the numbers among what an attack says about each state, as means over the concepts."""
    texts = []
    for state, own in scores["states"].items():
        values: dict[str, list[float]] = {}
        for said in own["notes"].values():
            for name, value in said.items():
                if not isinstance(value, str):
                    values.setdefault(name, []).append(value)
        means = [f"{name.removesuffix(', %')} {sum(own) / len(own):.0f} %" for name, own in values.items()]
        if means:
            texts.append(f"{state}, {', '.join(means)}")
    return texts


def fields_of(budget: Mapping[str, object]) -> str:
    """Returns the fields of an attack's budget as text."""
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in budget.items())


def _plain(value: object) -> str:
    return ", ".join(f"{own:g}" for own in value) if isinstance(value, list | tuple) else f"{value:g}"
