"""The bench that settings are measured on: the embedded model, its judge, and what is known so far.

What was measured is kept in a JSON file as it goes, and not measured again with the same model, prompts, seeds and
versions.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fia import Settings, find, load_testbed
from fia.bench.demo import (
    DEMO_SETTINGS,
    DemoConfig,
    Drawn,
    draw_and_judge,
    evaluation_prompts,
    forgotten_concepts,
    scores,
)
from fia.files import written_whole
from fia.masks.mask import NeuronMask
from fia.prompts import OBJECTS, PLACES, fill
from fia.provenance import hash_folder, versions
from fia.testbed import load_classifier
from fia.testbed.captions import SMOKING, STYLE_SUFFIX
from fia.testbed.pretrained import FOLDER, Architecture
from fia.testbed.world import IMAGENETTE, PERSON_NAMES, PLACE_NAMES, STYLE_NAMES

DOCS = Path(__file__).parent.parent / "docs"
# Neither the prompts nor the seeds are the demonstration's.
EVALUATION = DemoConfig(
    images_per_object=8,
    images_per_rest_object=2,
    num_inference_steps=20,
    template="a {object} on a {place}",
    seed=50_000,
)
MORE = tuple(
    replace(EVALUATION, template=template, seed=seed)
    for template, seed in (
        ("a photo of a {object} in the {place}", 80_000),
        ("a photo of a {object} near the {place}", 85_000),
        ("a {object} on the {place}", 87_000),
    )
)
ALPHA = 0.8
BASE = replace(DEMO_SETTINGS, seed=10_000, agnostic_ratio=ALPHA)


class Bench:
    """The model, the judge, and the results so far."""

    def __init__(self, cache: Path, architecture: Architecture = "unet") -> None:
        self.pipe, self.classifier = load_testbed(architecture=architecture), load_classifier()
        self.cache = cache
        parts = ("model", "classifier") if architecture == "unet" else ("model/text_encoder", "dit", "classifier")
        made_with = {
            "model": [hash_folder(FOLDER / part) for part in parts],
            "prompts": [*PLACES, *OBJECTS, *evaluation_prompts(EVALUATION)[2]],
            "finding": asdict(BASE),
            "drawing": [asdict(evaluation) for evaluation in (EVALUATION, *MORE)],
            "versions": versions(),
        }
        known = json.loads(cache.read_text()) if cache.exists() else {}
        self.results: dict[str, Any] = known if known.get("made_with") == made_with else {"made_with": made_with}
        self.masks: dict[tuple[Settings, str], NeuronMask] = {}

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """Returns the result under `key`, measured only where it is not known yet."""
        if key not in self.results:
            self.results[key] = measure()
            with written_whole(self.cache) as partial:
                partial.write_text(json.dumps(self.results, indent=1) + "\n")
        return self.results[key]

    def mask(
        self, own_ratios: Mapping[str, float] = MappingProxyType({}), agnostic_ratio: float = ALPHA, **settings: Any
    ) -> NeuronMask:
        """Returns the mask of the five under settings that differ from BASE; neurons are found once for any alpha."""
        finding = replace(BASE, **settings)
        key = finding, str(own_ratios)
        if key not in self.masks:
            self.masks[key] = find(self.pipe, forgotten_concepts(own_ratios), finding)
        return replace(self.masks[key], agnostic_ratio=agnostic_ratio)

    def score_five(self, **settings: Any) -> dict[str, Any]:
        """Returns the accuracies under the mask of the five, measured once however often they are asked for."""
        return self.once(five_key(**settings), lambda: self.score(self.mask(**settings)))

    def draw(self, mask: NeuronMask | None, prompts: Sequence[str], seeds: Sequence[int]) -> Drawn:
        """Draws and judges the prompts under a mask, or by the untouched model."""
        with mask.applied(self.pipe) if mask is not None else nullcontext():
            return draw_and_judge(self.pipe, self.classifier, prompts, seeds, EVALUATION, "Drawing")

    def score(self, mask: NeuronMask | None, evaluations: Sequence[DemoConfig] = (EVALUATION,)) -> dict[str, Any]:
        """Returns the accuracies under a mask, in all and by object, with its sparsity."""
        asked = zip(*map(evaluation_prompts, evaluations), strict=True)
        objects, places, prompts, seeds = ([*itertools.chain(*lists)] for lists in asked)
        drawn = self.draw(mask, prompts, seeds)
        by_object = percent_by(
            (asked, asked == seen) for asked, seen in zip(objects, drawn.answers.subjects, strict=True)
        )
        return scores(drawn, objects, places) | {"sparsity": percent_pruned(mask), "by_object": by_object}

    def kinds(self, mask: NeuronMask | None) -> dict[str, float]:
        """Returns what the judge sees, in percent, where a style or a smoking person is asked for, and where not."""
        asked = kinds_prompts()
        prompts, subjects, answers = zip(*asked, strict=True)
        drawn = self.draw(mask, prompts, range(EVALUATION.seed, EVALUATION.seed + len(asked)))
        seen = zip(drawn.answers.subjects, drawn.answers.styles, drawn.answers.attributes, strict=True)
        right = []
        for subject, answer, (seen_subject, style, attribute) in zip(subjects, answers, seen, strict=True):
            right.append(("persons" if subject in PERSON_NAMES else "objects", subject == seen_subject))
            right.append((answer, answer in (style, attribute)))
        return percent_by(right) | {"sparsity": percent_pruned(mask)}


def five_key(**settings: Any) -> str:
    """Returns the key of the accuracies of the five: the settings that differ from BASE."""
    wanted, usual = asdict(replace(BASE, **settings)), asdict(BASE)
    return ", ".join(["five", *(f"{name} {value}" for name, value in wanted.items() if value != usual[name])])


def kinds_prompts() -> list[tuple[str, str, str]]:
    """Returns (prompt, subject, style or attribute): the ten in each style and in none, and persons who smoke or not.

    The templates of styles are those that neurons are found with, but for the objects; those of persons are not.
    """
    asked = []
    for name, style in itertools.product(IMAGENETTE, (*STYLE_NAMES, "no style")):
        template = "a {object}" if style == "no style" else "a {object}" + STYLE_SUFFIX
        asked += 2 * [(fill(template, object=name, style=style), name, style)]
    for name, place in itertools.product(PERSON_NAMES, PLACE_NAMES):
        for person, attribute in ((f"{SMOKING} {name}", SMOKING), (name, f"not {SMOKING}")):
            asked.append((fill("a {person} in a {place}", person=person, place=place), name, attribute))
    return asked


def percent_by(answers: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Returns for each key the percentage of its answers that are right."""
    right: dict[str, list[bool]] = {}
    for key, is_right in answers:
        right.setdefault(key, []).append(is_right)
    return {key: 100 * sum(values) / len(values) for key, values in right.items()}


def percent_pruned(mask: NeuronMask | None) -> float:
    """Returns the share of the maskable layers that a mask prunes, in percent."""
    return 0.0 if mask is None else 100 * mask.sparsity
