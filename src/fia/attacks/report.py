"""The report of attacks: one HTML file that holds everything and needs no network, and the table for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from ..concepts import Concept
from ..drawing.figure import Cell, contact_sheet
from ..drawing.gallery import Gallery
from ..evaluation import summary
from ..evaluation.pages import fill_page
from ..evaluation.report import coarse, inline
from ..evaluation.run import UNTOUCHED
from ..files import written_whole
from .interface import Attack
from .records import AttackResult, AttackScores, StateScores
from .run import AttackRun
from .unit import Unit

MOST_SHOWN = 8  # images of a state


class Row(TypedDict):
    """A state of the model in the table of an attack."""

    state: str
    is_control: bool
    before: str
    after: str
    by_concept: list[str]
    seconds: str


class Section(TypedDict):
    """What the page shows about an attack.

    Attributes:
        label: its name.
        needs: what the attacker must have.
        paper: its source.
        budget: its fields.
        rows: one for each state.
        notes: what it has to say about the edited model.
        strip: data URL of images after the attack.
    """

    label: str
    needs: str
    paper: str
    budget: str
    rows: list[Row]
    notes: list[str]
    strip: str


def label_of(scores: AttackScores) -> str:
    """Returns the name of an attack and its variant."""
    return f"{scores['attack']}, {scores['variant']}" if scores["variant"] else scores["attack"]


def write_report(run: AttackRun, result: AttackResult, attacks: Sequence[Attack]) -> None:
    """Writes `attack.html` from the content of attack.json."""
    first = result["attacks"][0]["states"]
    variants = [(attack, variant) for attack in attacks for variant in attack.variants]
    page = fill_page(
        "attack.html",
        "fia.attacks",
        result=result,
        names=[concept.name for concept in run.concepts],
        states=list(first),
        before=[summary.read(state["before"]) for state in first.values()],
        sections=[
            section(run, scores, attack, variant)
            for scores, (attack, variant) in zip(result["attacks"], variants, strict=True)
        ],
    )
    with written_whole(run.out / "attack.html") as partial:
        partial.write_text(page, encoding="utf-8")


def section(run: AttackRun, scores: AttackScores, attack: Attack, variant: str) -> Section:
    """Returns what the page shows about an attack."""
    edited = next(state for state in scores["states"] if state != UNTOUCHED)
    return {
        "label": label_of(scores),
        "needs": scores["needs"],
        "paper": scores["paper"],
        "budget": "; ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in scores["budget"].items()),
        "rows": [row(state, own, is_control=state != edited) for state, own in scores["states"].items()],
        "notes": [
            f"{concept}: " + ", ".join(f"{name} {value}" for name, value in notes.items())
            for concept, notes in scores["states"][edited]["notes"].items()
        ],
        "strip": inline(contact_sheet(strip(run, attack, variant, list(scores["states"])), MOST_SHOWN)),
    }


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def row(state: str, scores: StateScores, *, is_control: bool) -> Row:
    """Returns a state's row."""
    return {
        "state": state,
        "is_control": is_control,
        "before": summary.read(scores["before"]),
        "after": summary.read(scores["after"]),
        "by_concept": [f"{own['percent']:.0f}" for own in scores["by_concept"].values()],
        "seconds": f"{scores['seconds']:.0f}",
    }


def strip(run: AttackRun, attack: Attack, variant: str, states: Sequence[str]) -> dict[str, list[Cell]]:
    """Returns the first images of each state, those that came back before the others. Explicit ones are pixelated."""
    sections: dict[str, list[Cell]] = {}
    for state in states:
        cells = [cell for concept in run.concepts for cell in _cells(run, attack, variant, state, concept)]
        sections[state] = sorted(cells, key=lambda cell: not cell.is_wrong)[:MOST_SHOWN]
    return sections


def _cells(run: AttackRun, attack: Attack, variant: str, state: str, concept: Concept) -> list[Cell]:
    folder = run.folder(Unit(attack, variant, state, concept))
    seen = run.result(attack, variant, state, concept)["seen"]
    images = Gallery.numbered(folder, min(len(seen), MOST_SHOWN))
    shown = [coarse(image) if concept.kind == "explicit" else image for image in images]
    return [Cell(image, concept.name, is_seen) for image, is_seen in zip(shown, seen, strict=False)]


def text(attacks: Sequence[AttackScores]) -> str:
    """Returns the table for the terminal, with a row for each attack and a column for each state."""
    states: Mapping[str, StateScores] = attacks[0]["states"]
    lines = [f"{'still detected, %':<44}" + "".join(f"{state:>24}" for state in states)]
    lines.append(
        f"  {'before any attack':<42}" + "".join(f"{summary.read(own['before']):>24}" for own in states.values())
    )
    for scores in attacks:
        cells = "".join(f"{summary.read(own['after']):>24}" for own in scores["states"].values())
        lines.append(f"  {label_of(scores):<42}{cells}")
    return "\n".join(lines)
