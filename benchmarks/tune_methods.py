"""Finds the best settings of every method in `fia bench`, on other prompts and seeds than the benchmark's.

Every candidate forgets one, five and ten objects of the embedded model, its styles, smoking, and one, ten and a hundred
objects of the large world. The settings with the highest Overall belong into `src/fia/bench/chosen_settings.py`. The
page is docs/rivals.md. If you start it again with the same folder, it continues.

    python benchmarks/tune_methods.py runs/tuning
    python benchmarks/tune_methods.py runs/tuning SPEED OCE      # these alone; the page keeps the rows of the others
    python benchmarks/tune_methods.py runs/tuning --task "forget 100 objects of the large world"
    python benchmarks/tune_methods.py runs/tuning --new          # only what the page has no row of
    python benchmarks/tune_methods.py                            # writes the page again, with the rows that it has
"""

import argparse
import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from candidates import CHOICES, OF_LARGE, WORLD, Choice

from fia.bench.chosen_settings import FOR_FEW
from fia.bench.report import COLUMNS, LEGEND, cells
from fia.files import slug, written_whole

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "rivals.md"
SHOWN = ("still detected %", "kept %", "unlisted %", "overall", "seconds")

INTRO = (
    f'`benchmarks/tune_methods.py` writes this page. It runs the benchmark with other prompts ("{WORLD.template}", '
    f'and "{OF_LARGE.template}" on the large world) and seeds. `fia bench` uses the settings of each method with the '
    "highest Overall. They are in bold; if two are equal, the one that keeps more of what nobody listed wins. On the "
    "large world, with few images of what is kept, those within one point of the best count as equal. The settings for "
    "ten objects also serve for more objects and for several kinds, and on the large world for up to fifty objects; "
    "what was not tuned for two objects has the settings for one. FIA and ConceptPrune find neurons with the same "
    "prompts, on other seeds than in the benchmark, and without guidance unless the row names it. Rows of FIA "
    "rewritten that differ in mu or the target alone share their neurons, and the first of them has the seconds of "
    "finding them. For one object alpha makes no difference, so FIA takes the alpha of two objects. If a bold row is "
    "at the end of its grid, values beyond the grid might be better. A method without rows in a table was not tuned "
    "for that task. "
    "Images of the rows of SPEED, DP, OCE and ScaPre for the small world were generated in bfloat16 (`--autocast`)."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where to measure; without it, only the page is written")
    parser.add_argument("--task", choices=[choice.name for choice in CHOICES], help="this task alone")
    parser.add_argument("--new", action="store_true", help="only the candidates that the page has no row of")
    parser.add_argument("methods", nargs="*", default=list(FOR_FEW), metavar="METHOD", help="all by default")
    options = parser.parse_args()
    write_page({})
    for choice in CHOICES if options.folder else ():
        if options.task not in (None, choice.name):
            continue
        known = read_rows(PAGE.read_text(encoding="utf-8"))[choice.name] if options.new else ()
        write_page({choice.name: measured_rows(choice, options.folder, options.methods, known)})


def write_page(measured: Mapping[str, Mapping[str, str]]) -> None:
    """Writes docs/rivals.md, with new rows for some tasks, and for all others those that it has."""
    known = read_rows(PAGE.read_text(encoding="utf-8"))
    parts = ["# How the settings of every method were chosen", INTRO]
    for choice in CHOICES:
        rows = {**known.get(choice.name, {}), **measured.get(choice.name, {})}
        parts.append(section(choice, rows))
    with written_whole(PAGE) as partial:
        partial.write_text("\n\n".join([*parts, LEGEND]) + "\n", encoding="utf-8")


def read_rows(page: str) -> dict[str, dict[str, str]]:
    """Returns the rows of the page: by the task, and by the label of the candidate."""
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    return {
        task: {match[1]: match[0] for match in re.finditer(r"^\| ([^|]+) \| .*$", text, flags=re.MULTILINE)}
        for task, text in sections.items()
    }


def measured_rows(choice: Choice, out: Path, wanted: Sequence[str], known: Container[str]) -> dict[str, str]:
    """Runs the candidates of some methods for one task, but for known ones; returns their rows."""
    folder = out / slug(choice.name)
    candidates = {f"{name}, {label}": own for name, label, own in choice.candidates() if name in wanted}
    candidates = {label: own for label, own in candidates.items() if label not in known}
    if not candidates:
        return {}
    results, costs = choice.bench(folder).run([choice.task], lambda _: candidates)
    scores, cost = results[choice.task.name], costs[choice.task.name]
    return {
        label: f"| {label} | {' | '.join(row[column] for column in SHOWN)} |"
        for label in candidates
        for row in [dict(zip(COLUMNS, cells(scores[label], cost[label]), strict=True))]
    }


def section(choice: Choice, rows: Mapping[str, str]) -> str:
    """Returns the section of a task, with the rows of the candidates that were measured."""
    number = sum(question.group == "forgotten" for question in choice.questions())
    noise = f"There are {number} images of forgotten concepts, so one image is {100 / number:.1f} %."
    lines = [f"| | {' | '.join(SHOWN)} |", f"|{'---|' * 6}"]
    by_method: dict[str, list[str]] = {}
    for name, label, _ in choice.candidates():
        if own := rows.get(f"{name}, {label}"):
            by_method.setdefault(name, []).append(own.replace("**", ""))
    for own_rows in by_method.values():
        best = best_of(own_rows, choice.margin)
        lines += [in_bold(row) if row == best else row for row in own_rows]
    return f"## {choice.name}\n\n{noise}\n\n" + "\n".join(lines)


def best_of(rows: Sequence[str], margin: float) -> str:
    """Returns the row with the highest Overall; if others are within the margin, what keeps most of the unlisted."""
    shown = {row: dict(zip(SHOWN, row.split(" | ")[1:], strict=True)) for row in rows}
    overall = {row: float(values["overall"] or 0) for row, values in shown.items()}
    equal = [row for row in rows if overall[row] >= max(overall.values()) - margin]
    return max(equal, key=lambda row: (float(shown[row]["unlisted %"] or 0), overall[row]))


def in_bold(row: str) -> str:
    """Returns a row with its Overall in bold."""
    cells_of = row.split(" | ")
    at = SHOWN.index("overall") + 1
    return " | ".join([*cells_of[:at], f"**{cells_of[at]}**", *cells_of[at + 1 :]])


if __name__ == "__main__":
    main()
