"""The bench that settings are measured on: the embedded model, its judge, and what is known so far.

What was measured is kept in a JSON file as it goes, and not measured again with the same weights, seeds and versions.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fia import Settings, find, load_testbed
from fia.evaluation import generate_images
from fia.mask import NeuronMask
from fia.prompts import fill
from fia.testbed import load_classifier
from fia.testbed.captions import SMOKING, STYLE_SUFFIX
from fia.testbed.demo import FORGOTTEN, DemoConfig, draw_and_judge, evaluation_prompts, scores
from fia.testbed.judge import judge
from fia.testbed.pretrained import FOLDER
from fia.testbed.world import IMAGENETTE, PERSON_NAMES, STYLE_NAMES
from fia.unlearn import versions

DOCS = Path(__file__).parent.parent / "docs"
EVALUATION = DemoConfig(images_per_object=8, images_per_rest_object=2, num_inference_steps=25, seed=50_000)
BASE = Settings(seed=10_000, spatial_ratio=0.03)


def hash_weights() -> str:
    """Returns one hash of every weight that images and answers depend on."""
    files = [*(FOLDER / "model").rglob("*.safetensors"), *(FOLDER / "classifier").rglob("*.safetensors")]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in sorted(files))).hexdigest()


class Bench:
    """The model, the judge, and the results so far."""

    def __init__(self, cache: Path) -> None:
        self.pipe, self.classifier = load_testbed(), load_classifier()
        self.cache = cache
        made_with = {
            "weights": hash_weights(),
            "finding": asdict(BASE),
            "drawing": asdict(EVALUATION),
            "versions": versions(),
        }
        known = json.loads(cache.read_text()) if cache.exists() else {}
        self.results: dict[str, Any] = known if known.get("made_with") == made_with else {"made_with": made_with}
        self.masks: dict[Settings, NeuronMask] = {}

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """Returns the result under `key`, measured only where it is not known yet."""
        if key not in self.results:
            self.results[key] = measure()
            self.cache.write_text(json.dumps(self.results, indent=1) + "\n")
        return self.results[key]

    def mask(self, agnostic_ratio: float = 0.6, **settings: Any) -> NeuronMask:
        """Returns the mask of the five under these settings; alpha is applied to neurons found before."""
        wanted = replace(BASE, **settings)
        if wanted not in self.masks:
            self.masks[wanted] = find(self.pipe, FORGOTTEN, wanted)
        return replace(self.masks[wanted], agnostic_ratio=agnostic_ratio)

    def score(self, mask: NeuronMask | None) -> dict[str, Any]:
        """Returns the accuracies under a mask, in all and by object, with its sparsity."""
        objects, places, prompts, seeds = evaluation_prompts(EVALUATION)

        with mask.applied(self.pipe) if mask else nullcontext():
            drawn = draw_and_judge(self.pipe, self.classifier, prompts, seeds, EVALUATION, "Drawing")
        answers = zip(objects, drawn.answers.subjects, strict=True)
        right: dict[str, list[bool]] = {name: [] for name in objects}
        for asked, seen in answers:
            right[asked].append(asked == seen)
        by_object = {name: 100 * sum(values) / len(values) for name, values in right.items()}
        sparsity = 100 * mask.sparsity if mask else 0.0
        return scores(drawn, objects, places) | {"sparsity": sparsity, "by_object": by_object}

    def kinds(self, mask: NeuronMask | None) -> dict[str, float]:
        """Returns what the judge sees, in percent, where a style or a smoking person is asked for, and where not."""
        styled = [(name, style) for name in IMAGENETTE for style in (*STYLE_NAMES, "no style")]
        persons = [(name, smokes) for name in PERSON_NAMES for smokes in (True, False) for _ in range(4)]
        prompts = [
            fill("a {object}" + (STYLE_SUFFIX if style in STYLE_NAMES else ""), object=name, style=style)
            for name, style in styled
        ]
        prompts += [
            fill("a photo of a {person}", person=f"{SMOKING} {name}" if smokes else name) for name, smokes in persons
        ]
        seeds = range(EVALUATION.seed, EVALUATION.seed + len(prompts))
        with mask.applied(self.pipe) if mask else nullcontext():
            images = generate_images(
                self.pipe,
                prompts,
                seeds,
                num_inference_steps=EVALUATION.num_inference_steps,
                guidance_scale=EVALUATION.guidance_scale,
            )
        seen = judge(self.classifier, images)
        right: dict[str, list[bool]] = {}
        for (name, style), subject, said in zip(styled, seen.subjects, seen.styles, strict=False):
            right.setdefault(style, []).append(said == style)
            right.setdefault("objects", []).append(subject == name)
        number = len(styled)
        for (name, smokes), subject, said in zip(
            persons, seen.subjects[number:], seen.attributes[number:], strict=True
        ):
            right.setdefault(SMOKING if smokes else f"not {SMOKING}", []).append((said == SMOKING) is smokes)
            right.setdefault("persons", []).append(subject == name)
        return {key: 100 * sum(values) / len(values) for key, values in right.items()}


def overlap(one: NeuronMask, two: NeuronMask) -> float:
    """Returns the mean over concepts of intersection over union of their neurons, in percent."""
    shares = []
    for concept in one.concepts:
        sets = [{(n, i) for n, part in m.neurons[concept].items() for i in part.tolist()} for m in (one, two)]
        shares.append(100 * len(sets[0] & sets[1]) / max(1, len(sets[0] | sets[1])))
    return sum(shares) / len(shares)
