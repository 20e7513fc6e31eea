"""The models that the page offers: those named on the command line, and the embedded model. It offers no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..drawing.images import Drawing
from ..errors import UsageError
from ..evaluation.questions import Judge
from ..loading import Runtime
from ..models.pipelines import without_safety_checker
from ..prompts import fill
from ..recommended import GUIDANCE_SCALES, REWRITTEN, recommend
from ..settings import Settings, Value
from ..testbed.judge import load_judge
from ..testbed.pretrained import NAMES
from ..testbed.world import OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, SMOKING, STYLE_NAMES
from .forms import MOST_PROMPTS
from .refusal import Refused

TESTBED = "testbed"
STEPS = 25  # steps of every image, unless the person changes them
OTHERS = ("cat", "zebra", "car", "umbrella")  # objects to keep; the suggested prompts show two of them
SCENES = ("in a forest", "on a road", "in a desert", "on a mountain", "in a room", "on a beach", "on a lawn")
# What to forget, and what to keep, with one click.
EXAMPLES: tuple[tuple[list[Concept], list[Concept]], ...] = (
    ([Concept("church")], []),
    ([Concept("zebra")], [Concept("horse")]),
    ([Concept("golf ball"), Concept("chain saw")], []),
)
KNOWN_EXAMPLES = (*EXAMPLES, ([Concept(STYLE_NAMES[0], "style")], []), ([Concept(SMOKING, "explicit")], []))
OTHER_EXAMPLES = (*EXAMPLES, ([Concept("Van Gogh", "style")], []))
# What the embedded model can forget, by kind.
KNOWN = {"object": (*OBJECT_NAMES, *PERSON_NAMES), "style": STYLE_NAMES, "explicit": (SMOKING,), "place": PLACE_NAMES}


@dataclass
class Offer:
    """A model that a person can choose.

    Attributes:
        model: the name that `load_pipeline` takes.
        label: the name on the page.
        settings: the settings to find with, if the person changes none. None takes those recommended for the concepts.
        drawing: how images are generated.
        known: the names of what the model can forget, by kind. It is empty if a person may try any name.
        keeps_safety_checker: whether the model's safety checker stays on.
        pipe: the pipeline, once it is loaded. Only the worker touches it.
        judge: says what an image shows, once the model is loaded. Only the embedded model has one.
        is_unchecked: whether the model's safety checker was taken off.
    """

    model: str
    label: str
    settings: Settings | None
    drawing: Drawing
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keeps_safety_checker: bool = False
    pipe: DiffusionPipeline | None = None
    judge: Judge | None = None
    is_unchecked: bool = False

    def as_json(self) -> dict[str, Any]:
        """Returns what the page shows of the model before it is loaded."""
        examples = KNOWN_EXAMPLES if self.known else OTHER_EXAMPLES
        return {
            "name": self.label,
            "known": self.known,
            "spatial_ratio": self.settings and self.settings.spatial_ratio,
            "prompts_per_concept": self.settings and self.settings.prompts_per_concept,
            "num_inference_steps": self.drawing.num_inference_steps,
            "examples": [
                {"concepts": list(map(_named, concepts)), "keep": list(map(_named, keep))}
                for concepts, keep in examples
            ],
        }

    def load(self, runtime: Runtime) -> DiffusionPipeline:
        """Returns the pipeline, without its safety checker unless that should stay. The first call loads it.

        Raises:
            Refused: if the model cannot be loaded.
        """
        if self.pipe is None:
            try:
                config = runtime.config if Path(self.model).is_file() else None
                pipe = replace(runtime, config=config).load(self.model)
            except (ValueError, OSError) as error:
                raise Refused("model", str(error)) from error
            remedy = f"To keep that of {self.label} on, use fia serve --keep-safety-checker."
            self.is_unchecked = getattr(pipe, "safety_checker", None) is not None and not self.keeps_safety_checker
            self.pipe = pipe if self.keeps_safety_checker else without_safety_checker(pipe, remedy)
            self.judge = load_judge() if self.known else None
        return self.pipe

    def settings_for(
        self, concepts: Sequence[Concept], edit: Value, **overrides: Any
    ) -> tuple[Settings, list[Concept]]:
        """Returns the settings to find concepts with, and the concepts, some of them with a recommended r2.

        Args:
            concepts: the concepts to forget together.
            edit: what to do with their neurons.
            **overrides: the settings that the person changed.
        """
        if self.settings is not None:
            return replace(self.settings, edit=edit, **overrides), list(concepts)
        settings, with_own_ratios = recommend(self.model, concepts, zero=edit == "zero")
        chosen = concepts if "spatial_ratio" in overrides else with_own_ratios
        return replace(settings, edit=edit, **overrides), list(chosen)

    def check_names(self, field: str, concepts: Sequence[Concept]) -> None:
        """Refuses a name that the model has never seen, if we know what it has seen.

        Args:
            field: the field of the form that holds the names.
            concepts: the names.
        """
        names = [name for names in self.known.values() for name in names]
        for concept in concepts:
            if names and concept.name not in names:
                lower = {name.lower(): name for name in names}
                close = get_close_matches(concept.name.lower(), lower, n=1)
                remedy = f"Did you mean {lower[close[0]]}?" if close else "See What this model knows."
                raise Refused(field, f"{self.label} does not know {concept.name!r}. {remedy}")


def _named(concept: Concept) -> dict[str, str]:
    return {"name": concept.name, "kind": concept.kind}


def make_offers(models: Sequence[str], batch_size: int, keeps_safety_checker: bool = False) -> list[Offer]:
    """Returns the offers: the models named on the command line, then the embedded model if it is not one of them.

    Args:
        models: the names of the models.
        batch_size: images generated at a time.
        keeps_safety_checker: whether their safety checkers stay on.

    Raises:
        FileNotFoundError: if there is no folder of a model's name, and no repository can have it.
        ValueError: if two models would have the same name on the page.
    """
    offers: list[Offer] = []
    for model in (*models, *([] if TESTBED in models else [TESTBED])):
        label = Path(model).resolve().name if model not in NAMES and Path(model).exists() else model
        if label in [offer.label for offer in offers]:
            raise UsageError(f"Two models are called {label!r}. Name each model once, or rename a folder.")
        drawing = Drawing(STEPS, GUIDANCE_SCALES.get(model), batch_size)
        known = KNOWN if model in NAMES else {}
        settings = None if model in REWRITTEN else Settings()
        offers.append(Offer(model, label, settings, drawing, known, keeps_safety_checker))
    return offers


def suggest_prompts(concepts: Sequence[Concept], keep: Sequence[Concept] = ()) -> list[str]:
    """Returns prompts for images: for each concept, for each name to keep, and for other objects to make two.

    They find no neurons.
    """
    templates = {
        "object": "a {concept} {scene}",
        "style": "a {other} {scene} in the style of {concept}",
        "explicit": "a {concept} woman {scene}",
        "place": "a {other} in a {concept}",
    }
    others = [name for name in OTHERS if name not in [concept.name.lower() for concept in (*concepts, *keep)]]
    kept = [*keep, *(Concept(name) for name in others[: max(0, 2 - len(keep))])]
    asked = concepts[: MOST_PROMPTS - 2]
    return [
        fill(templates[concept.kind], concept=concept.name, other=(others or OTHERS)[0], scene=SCENES[i % len(SCENES)])
        for i, concept in enumerate([*asked, *kept][:MOST_PROMPTS])
    ]
