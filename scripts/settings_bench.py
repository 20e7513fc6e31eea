"""The bench that measures settings: the embedded model, its judge, and the results so far.

A JSON file keeps every result. The bench does not measure it again with the same model, prompts, seeds and library
versions.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict, TypeVar

from fia import Concept, NeuronMask, Settings, find, load_testbed
from fia.bench.demo import FORGOTTEN, KEPT
from fia.drawing.images import Drawing, Request, generate_images
from fia.evaluation.questions import Answers, Group, Question, score
from fia.evaluation.records import Proportion, Scores
from fia.files import written_whole
from fia.prompts import OBJECTS, PLACES, fill
from fia.provenance import hash_folder, versions
from fia.recommended import GUIDANCE_SCALES, recommend
from fia.testbed.captions import STYLE_SUFFIX
from fia.testbed.judge import load_judge
from fia.testbed.pretrained import FOLDER, Architecture
from fia.testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, SMOKING, STYLE_NAMES

DOCS = Path(__file__).parent.parent / "docs"
DRAWING = Drawing(20, GUIDANCE_SCALES["testbed"])
FIVE = [Concept(name) for name in FORGOTTEN]
RECOMMENDED, _FIVE = recommend("testbed", FIVE)
OWN_RATIOS = {concept.name: concept.spatial_ratio for concept in _FIVE if concept.spatial_ratio is not None}
BASE = replace(RECOMMENDED, seed=10_000)
Result = TypeVar("Result")


class Row(Scores, total=False):
    """What is detected under a mask, and the percentage of the maskable layers that the mask prunes."""

    sparsity: float


class KindsRow(TypedDict):
    """What is detected under a mask, by style, attribute and kind of subject, and the same percentage."""

    detected: dict[str, Proportion]
    sparsity: float


@dataclass(frozen=True)
class PromptSet:
    """Images of every object. The places alternate.

    Attributes:
        template: template of the prompts. It is not one that finds neurons, and not that of the demonstration.
        seed: seed of the first image; the others count up from it.
        images_per_object: number of images of each of the first ten objects.
        images_per_other: number of images of each other object.
    """

    template: str
    seed: int
    images_per_object: int = 8
    images_per_other: int = 2

    def questions(self) -> list[Question]:
        """Returns a question about each image. In images of a forgotten object, the place should remain."""
        numbers = [self.images_per_object if name in IMAGENETTE else self.images_per_other for name in OBJECT_NAMES]
        questions: list[Question] = []
        for turn, (name, number) in enumerate(zip(OBJECT_NAMES, numbers, strict=True)):
            for i in range(number):
                place = PLACE_NAMES[(i + turn) % len(PLACE_NAMES)]
                request = Request(fill(self.template, object=name, place=place), self.seed + len(questions))
                remains = ("place", place) if name in FORGOTTEN else None
                questions.append(Question(request, "subject", name, group_of(name), remains))
        return questions


EVALUATION = PromptSet("a {object} on a {place}", 50_000)
MORE = (
    PromptSet("a photo of a {object} in the {place}", 80_000),
    PromptSet("a photo of a {object} near the {place}", 85_000),
    PromptSet("a {object} on the {place}", 87_000),
)


def group_of(name: str) -> Group:
    return "forgotten" if name in FORGOTTEN else "kept" if name in KEPT else "rest"


class SettingsBench:
    """The model, the judge, and the results so far."""

    def __init__(self, cache: Path, architecture: Architecture = "unet", base: Settings = BASE) -> None:
        """Loads the model and the results so far.

        Args:
            cache: the JSON file.
            architecture: architecture of the denoiser.
            base: settings of every mask, except for those that are measured.
        """
        self.pipe, self.judge = load_testbed(architecture=architecture), load_judge()
        self.cache, self.base = cache, base
        parts = ("model", "classifier") if architecture == "unet" else ("model/text_encoder", "dit", "classifier")
        made_with = {
            "model": [hash_folder(FOLDER / part) for part in parts],
            "prompts": [*PLACES, *OBJECTS, *(question.request.prompt for question in EVALUATION.questions())],
            "finding": asdict(base),
            "sets": [asdict(prompts) for prompts in (EVALUATION, *MORE)],
            "drawing": asdict(DRAWING),
            "versions": {name: version for name, version in versions().items() if name != "fia"},
        }
        known = json.loads(cache.read_text()) if cache.exists() else {}
        self.results: dict[str, Any] = known if known.get("made_with") == made_with else {"made_with": made_with}
        self.masks: dict[tuple[Settings, str], NeuronMask] = {}

    def once(self, key: str, measure: Callable[[], Result]) -> Result:
        """Returns the result under `key`. Measures it only if the file does not hold it yet."""
        if key not in self.results:
            self.results[key] = measure()
            with written_whole(self.cache) as partial:
                partial.write_text(json.dumps(self.results, indent=1) + "\n")
        result: Result = self.results[key]
        return result

    def mask(self, own_ratios: Mapping[str, float] = MappingProxyType({}), **settings: Any) -> NeuronMask:
        """Returns the mask of the five with settings that differ from `base`. Finds the neurons once for all alphas."""
        finding = replace(self.base, **settings)
        key = replace(finding, agnostic_ratio=None), str(own_ratios)
        if key not in self.masks:
            concepts = [replace(concept, spatial_ratio=own_ratios.get(concept.name)) for concept in FIVE]
            self.masks[key] = find(self.pipe, concepts, finding)
        mask, alpha = self.masks[key], finding.agnostic_ratio
        return mask if alpha is None else mask.with_agnostic_ratio(alpha)

    def score_five(self, **settings: Any) -> Row:
        """Returns what is detected under the mask of the five. Measures it only once."""
        return self.once(five_key(self.base, **settings), lambda: self.score(self.mask(**settings)))

    def answers(self, mask: NeuronMask | None, questions: Sequence[Question]) -> Answers:
        """Generates the images of the questions, under a mask or with the untouched model, and asks the judge."""
        prompts, seeds = zip(*((question.request.prompt, question.request.seed) for question in questions), strict=True)
        with mask.applied(self.pipe) if mask is not None else nullcontext():
            images = generate_images(
                self.pipe,
                prompts,
                seeds,
                num_inference_steps=DRAWING.num_inference_steps,
                guidance_scale=GUIDANCE_SCALES["testbed"],
            )
        return self.judge.answer(images)

    def score(self, mask: NeuronMask | None, sets: Sequence[PromptSet] = (EVALUATION,)) -> Row:
        """Returns what is detected under a mask, with its sparsity."""
        questions = [question for prompts in sets for question in prompts.questions()]
        return {**score(questions, self.answers(mask, questions)), "sparsity": percent_pruned(mask)}

    def kinds(self, mask: NeuronMask | None) -> KindsRow:
        """Returns what is detected in images with and without a style, and of persons who smoke or not."""
        subjects, looks = kinds_questions()
        answers = self.answers(mask, subjects)
        detected = score(subjects, answers)["by_variant"] | score(looks, answers)["by_variant"]
        return {"detected": detected, "sparsity": percent_pruned(mask)}


def five_key(base: Settings, **settings: Any) -> str:
    """Returns the key of a mask of the five: its settings that differ from `base`."""
    wanted, usual = asdict(replace(base, **settings)), asdict(base)
    return ", ".join(["five", *(f"{name} {value}" for name, value in wanted.items() if value != usual[name])])


def kinds_questions() -> tuple[list[Question], list[Question]]:
    """Returns two questions about each image: its subject, and its style or whether the person smokes.

    The images show the ten objects in each style and in no style, and persons who smoke or not. The templates of styles
    are those that find neurons, but with other objects. The templates of persons are different ones.
    """
    asked: list[tuple[str, str, str]] = []  # prompt, subject, style or attribute
    for name, style in itertools.product(IMAGENETTE, (*STYLE_NAMES, "no style")):
        template = "a {object}" if style == "no style" else "a {object}" + STYLE_SUFFIX
        asked += 2 * [(fill(template, object=name, style=style), name, style)]
    for name, place in itertools.product(PERSON_NAMES, PLACE_NAMES):
        for person, attribute in ((f"{SMOKING} {name}", SMOKING), (name, f"not {SMOKING}")):
            asked.append((fill("a {person} in a {place}", person=person, place=place), name, attribute))
    subjects, looks = [], []
    for i, (prompt, subject, look) in enumerate(asked):
        request, is_person = Request(prompt, EVALUATION.seed + i), subject in PERSON_NAMES
        variant = "persons" if is_person else "objects"
        subjects.append(Question(request, "subject", subject, "kept", variant=variant))
        looks.append(Question(request, "attribute" if is_person else "style", look, "kept", variant=look))
    return subjects, looks


def percent_pruned(mask: NeuronMask | None) -> float:
    """Returns the share of the maskable layers that a mask prunes, in percent."""
    return 0.0 if mask is None else 100 * mask.sparsity
