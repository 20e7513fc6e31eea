"""Measures the settings that the paper leaves open, on the embedded model, and writes docs/settings.md.

Neurons are found and images are generated with different prompts and seeds. Both differ from those of `fia testbed
demo`. Every mask forgets the same five of the ten objects, except in the section on styles and the attribute.
"""

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, TypedDict

from settings_bench import BASE, DOCS, DRAWING, EVALUATION, MORE, OWN_RATIOS, Row, SettingsBench

from fia import Concept, NeuronMask, find
from fia.bench.demo import FORGOTTEN
from fia.bench.questions import SMOKING_CONCEPT
from fia.evaluation.records import Proportion
from fia.files import written_whole
from fia.finding.stability import mean_overlap
from fia.masks.random_control import random_mask
from fia.testbed.world import SMOKING, STYLE_NAMES

SPATIAL_RATIOS = (0.01, 0.025, 0.05, 0.1)
AGNOSTIC_RATIOS = (0.6, 0.8, 1.01)  # the last spares nothing: the union
ALONE_RATIOS = (0.025, 0.05, 0.1, 0.15)
TRIED: tuple[tuple[dict[str, float], dict[str, Any]], ...] = (
    ({}, {}),
    ({}, {"spatial_ratio": 0.04}),
    ({"church": 0.1}, {}),
    (OWN_RATIOS, {}),
    (OWN_RATIOS, {"prompts_per_concept": 8}),
    (OWN_RATIOS, {"prompts_per_concept": 8, "seeds_per_prompt": 4}),
    (OWN_RATIOS, {"seeds_per_prompt": 4}),
    (OWN_RATIOS, {"guidance_scale": 7.5}),
)


class AloneRow(TypedDict):
    """Five objects, each forgotten alone: means over the five masks, in percent, and the two numbers of each object."""

    still_detected: float
    rest: float
    sparsity: float
    each: dict[str, tuple[float, float]]


def alone_key(r2: float) -> str:
    return f"alone, r2 = {r2:.1%}"


def score_row(label: str, row: Row) -> str:
    still, kept, rest, remains = (percent(row[key]) for key in ("still_detected", "kept", "rest", "remains"))
    overall = row["overall"] or 0.0
    return f"| {label} | {row['sparsity']:.1f} | {still} | {kept} | {rest} | {overall:.1f} | {remains} |"


def percent(value: Proportion | None) -> str:
    return "" if value is None else f"{value['percent']:.1f}"


SCORE_HEAD = "| | sparsity % | still detected % (five) | kept % (five) | rest % | overall | place right % |"
SCORE_HEAD += "\n|---|---|---|---|---|---|---|"


def ratios_section(bench: SettingsBench) -> str:
    """Measures r2 and alpha. The untouched model and a random mask are the controls."""
    rows = [score_row("untouched", bench.once("untouched", lambda: bench.score(None)))]
    for r2, alpha in itertools.product(SPATIAL_RATIOS, AGNOSTIC_RATIOS):
        label = f"r2 = {r2:.1%}, " + ("union" if alpha > 1 else f"alpha = {alpha}")
        rows.append(score_row(label, bench.score_five(spatial_ratio=r2, agnostic_ratio=alpha)))
    r2, alpha = SPATIAL_RATIOS[-1], AGNOSTIC_RATIOS[-1]
    largest = bench.once("random", lambda: bench.score(random_mask(bench.mask(spatial_ratio=r2, agnostic_ratio=alpha))))
    rows.append(score_row(f"random, as large as r2 = {r2:.0%} union", largest))
    return "\n".join(["## r2 and alpha", "", SCORE_HEAD, *rows])


def own_section(bench: SettingsBench) -> str:
    """Measures an r2 of its own for single objects, and settings of the search, on more images."""

    def measure(own: dict[str, float], settings: dict[str, Any]) -> Row:
        return bench.score(bench.mask(own, **settings), MORE)

    rows = [score_row("untouched", bench.once("more, untouched", lambda: bench.score(None, MORE)))]
    for own, settings in TRIED:
        finding = replace(BASE, **settings)
        label = f"r2 = {finding.spatial_ratio:.1%}" + "".join(f", {name} {r2:.0%}" for name, r2 in own.items())
        label += f"; {finding.prompts_per_concept} x {finding.seeds_per_prompt}"
        if finding.guidance_scale > 1:
            label += f" at guidance {finding.guidance_scale:g}"
        result = bench.once(f"more, {label}", lambda: measure(own, settings))  # noqa: B023
        rows.append(score_row(f"**{label}**" if (own, settings) == (OWN_RATIOS, {}) else label, result))
    control = bench.once("more, random", lambda: bench.score(random_mask(bench.mask(OWN_RATIOS)), MORE))
    rows.append(score_row("random, as large as the recommended mask", control))
    images = sum(len(prompts.questions()) for prompts in MORE)
    templates = ", ".join(f'"{prompts.template}"' for prompts in MORE)
    text = (
        f"{images} images: as many as above for each of the templates {templates}. A row names r2, then the prompts x "
        f"seeds for each concept. There is no guidance unless the row names it; alpha = {BASE.agnostic_ratio}. The "
        "recommended settings are in bold."
    )
    return "\n".join(["## An r2 of its own, and more prompts", "", text, "", SCORE_HEAD, *rows])


def alone_section(bench: SettingsBench) -> str:
    """Measures each of the five objects forgotten alone: that object and all others, as means over the five."""

    def one_and_others(row: Row, name: str) -> tuple[float, float]:
        others = [value["percent"] for key, value in row["by_answer"].items() if key != name]
        return row["by_answer"][name]["percent"], sum(others) / len(others)

    def mean(pairs: list[tuple[float, float]]) -> tuple[float, float]:
        return sum(one for one, _ in pairs) / len(pairs), sum(others for _, others in pairs) / len(pairs)

    def measure(r2: float) -> AloneRow:
        pairs, sparsity = {}, 0.0
        for name in FORGOTTEN:
            row = bench.score(bench.mask(spatial_ratio=r2).without(*(set(FORGOTTEN) - {name})))
            pairs[name] = one_and_others(row, name)
            sparsity += row["sparsity"] / len(FORGOTTEN)
        one, others = mean(list(pairs.values()))
        return {"still_detected": one, "rest": others, "sparsity": sparsity, "each": pairs}

    untouched = bench.once("untouched", lambda: bench.score(None))
    one, others = mean([one_and_others(untouched, name) for name in FORGOTTEN])
    rows = [f"| untouched | 0.0 | {one:.1f} | {others:.1f} | |"]
    for r2 in ALONE_RATIOS:
        row = bench.once(alone_key(r2), lambda: measure(r2))  # noqa: B023
        each = ", ".join(f"{name} {gone:.0f}/{kept:.0f}" for name, (gone, kept) in row["each"].items())
        rows.append(
            f"| r2 = {r2:.1%} | {row['sparsity']:.1f} | {row['still_detected']:.1f} | {row['rest']:.1f} | {each} |"
        )
    head = "| | sparsity % | still detected % | all others % | each (still detected/others) |\n|---|---|---|---|---|"
    text = "Five masks forget one object each. The numbers are means over these five objects."
    return "\n".join(["## One object alone", "", text, "", head, *rows])


def kinds_section(bench: SettingsBench) -> str:
    """Measures masks of each style, of all styles and of the attribute. A random mask is the control."""
    styles = [Concept(style, kind="style") for style in STYLE_NAMES]
    concepts = {style.name: [style] for style in styles} | {"all styles": styles, SMOKING: [SMOKING_CONCEPT]}

    @cache
    def mask(name: str) -> NeuronMask:
        return find(bench.pipe, concepts[name], BASE)

    masks: dict[str, Callable[[], NeuronMask | None]] = {"untouched": lambda: None}
    masks |= {f"without {name}": partial(mask, name) for name in concepts}
    masks["random, as large as without all styles"] = lambda: random_mask(mask("all styles"))
    columns = (*STYLE_NAMES, "no style", "objects", SMOKING, f"not {SMOKING}", "persons")
    rows = []
    for label, make in masks.items():
        result = bench.once(f"kinds, {label}", lambda: bench.kinds(make()))  # noqa: B023
        values = " | ".join(percent(result["detected"][key]) for key in columns)
        rows.append(f"| {label} | {result['sparsity']:.1f} | {values} |")
    head = f"| detected % | sparsity | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 2)}"
    text = (
        "There are two images of each of the ten objects in each style and in no style, and one of each person in "
        "each place, smoking and not smoking. One image is 5 % of a style and 3 % of the attribute."
    )
    return "\n".join([f"## Styles and the attribute (r2 = {BASE.spatial_ratio:.1%})", "", text, "", head, *rows])


def three_groups(row: Row) -> str:
    return " | ".join(percent(row[key]) for key in ("still_detected", "kept", "rest"))


def prompts_section(bench: SettingsBench) -> str:
    """Measures how much a mask depends on the seeds, for several numbers of prompts and seeds."""
    rows = []
    for prompts, seeds in ((1, 1), (5, 1), (8, 4), (30, 1), (30, 4)):
        numbers = {"prompts_per_concept": prompts, "seeds_per_prompt": seeds}

        def measure(numbers: dict[str, Any] = numbers) -> float:
            return mean_overlap(bench.mask(**numbers), bench.mask(**numbers, seed=20_000))

        shared = bench.once(f"overlap {prompts} x {seeds}", measure)
        result = bench.score_five(**numbers)
        rows.append(f"| {prompts} | {seeds} | {shared:.0f} | {three_groups(result)} |")
    head = "| prompts | seeds each | neurons shared with other seeds % | still detected % | kept % | rest % |"
    return "\n".join(["## Number of prompts and seeds", "", head, "|---|---|---|---|---|---|", *rows])


def details_section(bench: SettingsBench) -> str:
    """Measures two variants of Eq. 3, with normalisation and with ties, against the equation as printed."""
    rows = []
    for label, settings in (
        ("as printed", {}),
        ('first term normalised (`magnitude="max"`)', {"magnitude": "max"}),
        ("ties count (`count_ties=True`)", {"count_ties": True}),
    ):
        shared = bench.once(f"shared, {label}", lambda: mean_overlap(bench.mask(), bench.mask(**settings)))  # noqa: B023
        result = bench.score_five(**settings)
        rows.append(f"| {label} | {shared:.1f} | {three_groups(result)} |")
    head = "| Eq. 3 | neurons shared with the first row % | still detected % | kept % | rest % |"
    return "\n".join(["## Normalisation and ties in Eq. 3", "", head, "|---|---|---|---|---|", *rows])


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    bench = SettingsBench(DOCS / "settings.json")
    sections = [
        ratios_section(bench),
        own_section(bench),
        alone_section(bench),
        kinds_section(bench),
        prompts_section(bench),
        details_section(bench),
    ]
    images = len(EVALUATION.questions())
    generated = (
        f"Every row is measured on the same {images} images: {EVALUATION.images_per_object} of each of the ten objects "
        f"and {EVALUATION.images_per_other} of each of the others. They take {DRAWING.num_inference_steps} steps at a "
        f"guidance scale of {DRAWING.guidance_scale:g}. One image is 2.5 %, so small differences are noise."
    )
    intro = f"""# Settings, measured

`scripts/measure_settings.py` writes this page. It measures the embedded model; the numbers hold only for it.

- Unless a section says otherwise, every mask forgets five objects together: {", ".join(FORGOTTEN)}.
- {generated}
- The prompts ("{EVALUATION.template}") and seeds are not those that find neurons, nor those of the demonstration.
- Unless a row or a heading says otherwise, each concept has {BASE.prompts_per_concept} prompts with
  {BASE.seeds_per_prompt} seed each, without guidance; r2 = {BASE.spatial_ratio:.1%} and alpha = {BASE.agnostic_ratio}.

![The same results as curves. The dotted lines are the untouched model](tradeoff.png)

"""
    with written_whole(DOCS / "settings.md") as partial:
        partial.write_text(intro + "\n\n".join(sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
