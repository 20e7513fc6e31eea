"""The models that the page offers: the embedded model, and those named on the command line. It offers no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..drawing.images import Drawing
from ..errors import UsageError
from ..loading import Runtime
from ..models.pipelines import without_safety_checker
from ..prompts import fill
from ..recommended import GUIDANCE_SCALES, REWRITTEN, recommend
from ..settings import UNION, Settings
from ..testbed.captions import SMOKING
from ..testbed.pretrained import NAMES
from ..testbed.world import OBJECT_NAMES, PERSON_NAMES, STYLE_NAMES, check_known
from .refusal import Refused, entered_in

TESTBED = "testbed"
STEPS = 25  # steps of every image, unless the person changes them
OTHERS = ("cat", "zebra", "car", "umbrella")  # objects to keep; the suggested prompts show two of them
SCENES = ("in a forest", "on a road", "in a desert", "on a mountain", "in a room", "on a beach", "on a lawn")
# What the embedded model can forget, by kind.
KNOWN = {"object": (*OBJECT_NAMES, *PERSON_NAMES), "style": STYLE_NAMES, "explicit": (SMOKING,)}


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
    """

    model: str
    label: str
    settings: Settings | None
    drawing: Drawing
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keeps_safety_checker: bool = False
    pipe: DiffusionPipeline | None = None

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
            self.pipe = pipe if self.keeps_safety_checker else without_safety_checker(pipe, remedy)
        return self.pipe

    def settings_for(self, concepts: Sequence[Concept], **overrides: Any) -> tuple[Settings, list[Concept]]:
        """Returns the settings to find concepts with, and the concepts, some of them with a recommended r2.

        Args:
            concepts: the concepts to forget together.
            **overrides: the settings that the person changed.

        Raises:
            ValueError: if a value is out of range.
        """
        if self.settings is not None:
            return replace(self.settings, **overrides), list(concepts)
        settings, with_own_ratios = recommend(self.model, concepts)
        chosen = concepts if "spatial_ratio" in overrides else with_own_ratios
        return replace(settings, **overrides), list(chosen)

    def check_concepts(self, concepts: Sequence[Concept]) -> None:
        """Refuses a concept that the model has never seen, if we know what it has seen."""
        if self.known:
            with entered_in("concepts"):
                check_known(concepts, [name for names in self.known.values() for name in names])


def make_offers(models: Sequence[str], batch_size: int, keeps_safety_checker: bool = False) -> list[Offer]:
    """Returns the offers: first the embedded model, then the models named on the command line.

    Args:
        models: the names of the models.
        batch_size: images generated at a time.
        keeps_safety_checker: whether their safety checkers stay on.

    Raises:
        ValueError: if two models would have the same name on the page.
    """
    offers: list[Offer] = []
    for model in (TESTBED, *(model for model in models if model != TESTBED)):
        label = Path(model).resolve().name if model not in NAMES and Path(model).exists() else model
        if label in [offer.label for offer in offers]:
            raise UsageError(f"Two models are called {label!r}. Name each model once, or rename a folder.")
        settings = None if model in REWRITTEN else Settings().resolved(UNION)
        drawing = Drawing(STEPS, GUIDANCE_SCALES.get(model), batch_size)
        known = KNOWN if model in NAMES else {}
        offers.append(Offer(model, label, settings, drawing, known, keeps_safety_checker))
    return offers


def suggest_prompts(concepts: Sequence[Concept]) -> list[str]:
    """Returns prompts for images: one for each concept, and two for other objects. They find no neurons."""
    templates = {
        "object": "a {concept} {scene}",
        "style": "a {other} {scene} in the style of {concept}",
        "explicit": "a {concept} woman {scene}",
        "place": "a {other} in a {concept}",
    }
    others = [name for name in OTHERS if name not in [concept.name.lower() for concept in concepts]]
    prompts = [
        fill(templates[concept.kind], concept=concept.name, other=others[0], scene=SCENES[i % len(SCENES)])
        for i, concept in enumerate(concepts)
    ]
    kept = [fill(templates["object"], concept=name, scene=SCENES[-1 - i]) for i, name in enumerate(others[:2])]
    return prompts + kept
