"""Measures, on the embedded model, the settings that the paper leaves open, and writes docs/settings.md.

Neurons are found on some seeds and images drawn from others; neither are those of `fia testbed demo`. Everything
forgets the same five of the ten objects. A run takes about ten minutes on two cores; what was measured is kept in
docs/settings.json as it goes, and not measured again with the same weights, seeds and versions.
"""

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fia import Settings, find, load_testbed
from fia.mask import NeuronMask
from fia.methods import random_mask
from fia.testbed import load_classifier
from fia.testbed.demo import FORGOTTEN, DemoConfig, draw_and_judge, evaluation_prompts, scores
from fia.testbed.pretrained import FOLDER
from fia.unlearn import versions

UNET = FOLDER / "model" / "unet" / "diffusion_pytorch_model.safetensors"
CLASSIFIER = FOLDER / "classifier" / "model.safetensors"
DOCS = Path(__file__).parent.parent / "docs"
EVALUATION = DemoConfig(images_per_object=8, images_per_rest_object=2, num_inference_steps=25, seed=50_000)
BASE = Settings(seed=10_000, spatial_ratio=0.03)
SPATIAL_RATIOS = (0.007, 0.02, 0.03, 0.05, 0.1, 0.2)
AGNOSTIC_RATIOS = (0.6, 0.8, 1.01)


class Bench:
    """The model, the judge, and the results so far."""

    def __init__(self, cache: Path) -> None:
        self.pipe, self.classifier = load_testbed(), load_classifier()
        self.cache = cache
        made_with = {
            "weights": hashlib.sha256(UNET.read_bytes() + CLASSIFIER.read_bytes()).hexdigest(),
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

    def score(self, mask: NeuronMask | None) -> dict[str, float]:
        """Returns the accuracies under a mask, with its sparsity."""
        objects, places, prompts, seeds = evaluation_prompts(EVALUATION)

        def draw() -> dict[str, float]:
            drawn = draw_and_judge(self.pipe, self.classifier, prompts, seeds, EVALUATION, "Drawing")
            return scores(drawn, objects, places)

        if mask is None:
            return draw() | {"sparsity": 0.0}
        with mask.applied(self.pipe):
            return draw() | {"sparsity": 100 * mask.sparsity}


def overlap(one: NeuronMask, two: NeuronMask) -> float:
    """Returns the mean over concepts of intersection over union of their neurons, in percent."""
    shares = []
    for concept in one.concepts:
        sets = [{(n, i) for n, part in m.neurons[concept].items() for i in part.tolist()} for m in (one, two)]
        shares.append(100 * len(sets[0] & sets[1]) / max(1, len(sets[0] | sets[1])))
    return sum(shares) / len(shares)


def score_row(label: str, result: dict[str, float]) -> str:
    keys = ("sparsity", "forgetting_accuracy", "preserving_accuracy", "preserving_accuracy_rest", "overall")
    return f"| {label} | " + " | ".join(f"{result[key]:.1f}" for key in (*keys, "place_accuracy_forgotten")) + " |"


SCORE_HEAD = (
    "| | sparsity % | forgetting % (five) | preserving % (five) | preserving % (rest) | overall | place right % |\n"
)
SCORE_HEAD += "|---|---|---|---|---|---|---|"


def ratios_section(bench: Bench) -> str:
    """Measures r2 and alpha, with the untouched model and a random mask beside them."""
    rows = [score_row("untouched", bench.once("untouched", lambda: bench.score(None)))]
    for r2, alpha in itertools.product(SPATIAL_RATIOS, AGNOSTIC_RATIOS):
        label = f"r2 = {r2:.1%}, " + ("union" if alpha > 1 else f"alpha = {alpha}")
        result = bench.once(label, lambda: bench.score(bench.mask(spatial_ratio=r2, agnostic_ratio=alpha)))  # noqa: B023
        rows.append(score_row(label, result))
    largest = bench.once(
        "random", lambda: bench.score(random_mask(bench.mask(spatial_ratio=SPATIAL_RATIOS[-1], agnostic_ratio=1.01)))
    )
    rows.append(score_row(f"random, as large as r2 = {SPATIAL_RATIOS[-1]:.0%} union", largest))
    return "\n".join(["## r2 and alpha", "", SCORE_HEAD, *rows])


def prompts_section(bench: Bench) -> str:
    """Measures how far a mask depends on the seeds, for several numbers of prompts and seeds."""
    rows = []
    for prompts, seeds in ((1, 1), (5, 1), (8, 1), (5, 4), (5, 16)):
        numbers = {"prompts_per_concept": prompts, "seeds_per_prompt": seeds, "spatial_ratio": 0.03}

        def measure(numbers: dict[str, Any] = numbers) -> float:
            return overlap(bench.mask(**numbers), bench.mask(**numbers, seed=20_000))

        shared = bench.once(f"overlap {prompts} x {seeds}", measure)
        result = bench.once(f"score {prompts} x {seeds}", lambda: bench.score(bench.mask(**numbers)))  # noqa: B023
        values = f"{shared:.0f} | {result['forgetting_accuracy']:.1f} | {result['preserving_accuracy']:.1f}"
        rows.append(f"| {prompts} | {seeds} | {values} | {result['preserving_accuracy_rest']:.1f} |")
    head = "| prompts | seeds each | neurons shared with other seeds % | forgetting % | preserving % | rest % |"
    return "\n".join(["## Number of prompts and seeds (r2 = 3 %)", "", head, "|---|---|---|---|---|---|", *rows])


def details_section(bench: Bench) -> str:
    """Measures the normalisation of Eq. 3 and whether ties count, against the equation as printed."""
    rows = []
    for label, settings in (
        ("as printed", {}),
        ('first term normalised (`magnitude="max"`)', {"magnitude": "max"}),
        ("ties count (`count_ties=True`)", {"count_ties": True}),
    ):

        def measure(settings: dict[str, Any] = settings) -> dict[str, float]:
            mask = bench.mask(spatial_ratio=0.03, **settings)
            return bench.score(mask) | {"shared": overlap(bench.mask(spatial_ratio=0.03), mask)}

        result = bench.once(label, measure)
        values = f"{result['shared']:.1f} | {result['forgetting_accuracy']:.1f} | {result['preserving_accuracy']:.1f}"
        rows.append(f"| {label} | {values} | {result['preserving_accuracy_rest']:.1f} |")
    head = "| Eq. 3 (r2 = 3 %) | neurons shared with the first row % | forgetting % | preserving % | rest % |"
    return "\n".join(["## Normalisation and ties in Eq. 3", "", head, "|---|---|---|---|---|", *rows])


def main() -> None:
    bench = Bench(DOCS / "settings.json")
    sections = [ratios_section(bench), prompts_section(bench), details_section(bench)]
    images = len(evaluation_prompts(EVALUATION)[0])
    drawn = (
        f"Every row draws the same {images} images in {EVALUATION.num_inference_steps} steps at a guidance scale of "
        f"{EVALUATION.guidance_scale:g}: {EVALUATION.images_per_object} of each of the ten objects, "
        f"{EVALUATION.images_per_rest_object} of each of the others. One image is 2.5 %: small differences are noise."
    )
    intro = f"""# Settings, measured

Written by `scripts/measure_settings.py` on the embedded model; the numbers are of that model and of no other.

- Forgotten together: {", ".join(FORGOTTEN)}.
- {drawn}
- Seeds for finding and for drawing are disjoint, and neither are those of the demonstration.

"""
    (DOCS / "settings.md").write_text(intro + "\n\n".join(sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
