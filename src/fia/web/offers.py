"""The models that the page offers: the test-bed, and those named on the command line. The page can name no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from diffusers import DiffusionPipeline

from ..bench.demo import DEMO_SETTINGS
from ..concepts import Concept
from ..drawing.images import Drawing
from ..errors import UsageError
from ..loading import Runtime
from ..models.pipelines import without_safety_checker
from ..prompts import PERSONS, fill
from ..settings import Settings
from ..testbed.captions import SMOKING
from ..testbed.pretrained import GUIDANCE_SCALE, NAMES
from ..testbed.world import OBJECT_NAMES, PERSON_NAMES, STYLE_NAMES, check_known
from .refusal import Refused, entered_in

TESTBED = "testbed"
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
        settings: to find with, where the person changes none.
        drawing: how pictures are drawn.
        known: names that can be forgotten, by kind; empty where anything may be tried.
        pipe: the pipeline, once it was needed. Only the worker touches it.
    """

    model: str
    label: str
    settings: Settings
    drawing: Drawing
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pipe: DiffusionPipeline | None = None

    def load(self, runtime: Runtime) -> DiffusionPipeline:
        """Returns the pipeline, loaded at the first call, without what blacks out its pictures.

        Raises:
            Refused: if it cannot be loaded.
        """
        if self.pipe is None:
            try:
                config = runtime.config if Path(self.model).is_file() else None
                self.pipe = without_safety_checker(replace(runtime, config=config).load(self.model))
            except (ValueError, OSError) as error:
                raise Refused("model", str(error)) from error
        return self.pipe

    def check_concepts(self, concepts: Sequence[Concept]) -> None:
        """Refuses what the model has never seen, where that is known."""
        if self.known:
            with entered_in("concepts"):
                check_known(concepts, [name for names in self.known.values() for name in names])


def make_offers(models: Sequence[str], batch_size: int) -> list[Offer]:
    """Returns the offers for the models named on the command line, the test-bed first.

    Raises:
        ValueError: if two of them could not be told apart.
    """
    # The demonstration forgets five; fewer need a larger r2. There are fewer prompts for explicit content than its 30.
    settings = replace(DEMO_SETTINGS, spatial_ratio=0.07, prompts_per_concept=len(PERSONS))
    offers = [Offer(TESTBED, TESTBED, settings, Drawing(25, GUIDANCE_SCALE, batch_size), KNOWN)]
    for model in models:
        if model == TESTBED:
            continue
        label = Path(model).resolve().name if Path(model).exists() else model
        if label in [offer.label for offer in offers]:
            raise UsageError(f"Two models are called {label!r}; rename a folder, so that they can be told apart.")
        if model in NAMES:  # the transformer, which takes a larger r2
            drawing = Drawing(25, GUIDANCE_SCALE, batch_size)
            offers.append(Offer(model, model, replace(settings, spatial_ratio=0.1), drawing, KNOWN))
            continue
        offers.append(Offer(model, label, Settings(), Drawing(25, Settings().guidance_scale, batch_size)))
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
