"""The models that the page offers: the test-bed, and those named on the command line. The page can name no other."""

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
from ..recommended import CASES, GUIDANCE_SCALES, recommend
from ..settings import Settings
from ..testbed.captions import SMOKING
from ..testbed.pretrained import NAMES
from ..testbed.world import OBJECT_NAMES, PERSON_NAMES, STYLE_NAMES, check_known
from .refusal import Refused, entered_in

TESTBED = "testbed"
STEPS = 25  # of every image, unless the person changes them
OTHERS = ("cat", "zebra", "car", "umbrella")  # things to keep, of which some are suggested to be drawn
SCENES = ("in a forest", "on a road", "in a desert", "on a mountain", "in a room", "on a beach", "on a lawn")
# What the test-bed can forget, by kind.
KNOWN = {"object": (*OBJECT_NAMES, *PERSON_NAMES), "style": STYLE_NAMES, "explicit": (SMOKING,)}


@dataclass
class Offer:
    """A model that can be chosen.

    Attributes:
        model: what `load_pipeline` takes.
        label: what the page calls it.
        settings: to find with, if the person changes none; None takes those recommended for the concepts.
        drawing: how images are generated.
        known: names that can be forgotten, by kind; empty if anything may be tried.
        keeps_safety_checker: whether the model's safety checker stays on.
        pipe: the pipeline, once it was needed. Only the worker touches it.
    """

    model: str
    label: str
    settings: Settings | None
    drawing: Drawing
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keeps_safety_checker: bool = False
    pipe: DiffusionPipeline | None = None

    def load(self, runtime: Runtime) -> DiffusionPipeline:
        """Returns the pipeline, loaded at the first call, without its safety checker unless that is to stay.

        Raises:
            Refused: if it cannot be loaded.
        """
        if self.pipe is None:
            try:
                config = runtime.config if Path(self.model).is_file() else None
                pipe = replace(runtime, config=config).load(self.model)
            except (ValueError, OSError) as error:
                raise Refused("model", str(error)) from error
            remedy = f"fia serve --keep-safety-checker leaves that of {self.label} on."
            self.pipe = pipe if self.keeps_safety_checker else without_safety_checker(pipe, remedy)
        return self.pipe

    def settings_for(self, concepts: Sequence[Concept], **overrides: Any) -> tuple[Settings, list[Concept]]:
        """Returns the settings to find concepts with, and the concepts, some of them with an r2 that is recommended.

        Args:
            concepts: to forget together.
            **overrides: what the person changed.

        Raises:
            ValueError: for a value out of range.
        """
        if self.settings is not None:
            return replace(self.settings, **overrides), list(concepts)
        settings, with_own_ratios = recommend(self.model, concepts)
        chosen = concepts if "spatial_ratio" in overrides else with_own_ratios
        return replace(settings, **overrides), list(chosen)

    def check_concepts(self, concepts: Sequence[Concept]) -> None:
        """Refuses what the model has never seen, where that is known."""
        if self.known:
            with entered_in("concepts"):
                check_known(concepts, [name for names in self.known.values() for name in names])


def make_offers(models: Sequence[str], batch_size: int, keeps_safety_checker: bool = False) -> list[Offer]:
    """Returns the offers for the models named on the command line, the test-bed first.

    Args:
        models: their names.
        batch_size: images generated at a time.
        keeps_safety_checker: whether their safety checkers stay on.

    Raises:
        ValueError: if two of them could not be told apart.
    """
    offers: list[Offer] = []
    for model in (TESTBED, *(model for model in models if model != TESTBED)):
        label = Path(model).resolve().name if model not in NAMES and Path(model).exists() else model
        if label in [offer.label for offer in offers]:
            raise UsageError(f"Two models are called {label!r}; rename a folder, so that they can be told apart.")
        settings = None if model in CASES else Settings()
        drawing = Drawing(STEPS, GUIDANCE_SCALES.get(model), batch_size)
        known = KNOWN if model in NAMES else {}
        offers.append(Offer(model, label, settings, drawing, known, keeps_safety_checker))
    return offers


def suggest_prompts(concepts: Sequence[Concept]) -> list[str]:
    """Returns prompts to draw: one for each concept, and two of other things. Neurons are found with none of them."""
    templates = {
        "object": "a {concept} {scene}",
        "style": "a {other} {scene} in the style of {concept}",
        "explicit": "a {concept} woman {scene}",
    }
    others = [name for name in OTHERS if name not in [concept.name.lower() for concept in concepts]]
    prompts = [
        fill(templates[concept.kind], concept=concept.name, other=others[0], scene=SCENES[i % len(SCENES)])
        for i, concept in enumerate(concepts)
    ]
    kept = [fill(templates["object"], concept=name, scene=SCENES[-1 - i]) for i, name in enumerate(others[:2])]
    return prompts + kept
