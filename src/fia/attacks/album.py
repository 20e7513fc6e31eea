"""Images by the original model, which attacks learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusers import StableDiffusionPipeline

from ..concepts import Concept
from ..drawing.gallery import draw_gallery
from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..files import claim, slug
from ..models.pipelines import embedded_name
from ..prompts import OBJECTS
from ..provenance import hash_json
from ..testbed.world import OBJECT_NAMES
from .detector import Detector
from .interface import Picture
from .targets import requests_for, requests_for_others

PICTURES, OTHERS = 50_000, 60_000  # added to the seed: attacks learn from other images than they are judged on


def folder_name(concept: Concept) -> str:
    """Returns the name of a concept's folders."""
    return slug(concept.name) or hash_json(concept.name)[:8]


@dataclass(frozen=True, eq=False)
class Album:
    """The images in a folder.

    Attributes:
        out: the folder.
        pipe: the original model.
        drawing: how images are generated.
        seed: seed of the images that attacks are measured on.
        made_with: what the images depend on, besides their prompts.
    """

    out: Path
    pipe: StableDiffusionPipeline
    drawing: Drawing
    seed: int
    made_with: dict[str, object]

    def of_concepts(
        self, concepts: Sequence[Concept], detectors: Mapping[str, Detector], number: int
    ) -> dict[str, list[Picture]]:
        """Returns images of each concept in which the judge sees it, of at most `number` that are drawn.

        Raises:
            ValueError: if the judge sees a concept in none of them.
        """
        found: dict[str, list[Picture]] = {}
        for concept in concepts if number else ():
            folder = Path("pictures", folder_name(concept))
            drawn = self.draw(folder, requests_for(concept, number, self.seed + PICTURES))
            is_seen = detectors[concept.name].sees([picture.image for picture in drawn])
            found[concept.name] = [picture for picture, seen in zip(drawn, is_seen, strict=True) if seen]
            if not found[concept.name]:
                raise UsageError(
                    f"The judge sees {concept.name!r} in none of the {number} images in {self.out / folder}, from "
                    "which an attack should learn. Give the attacks more pictures, or another concept."
                )
        return found

    def of_others(self, concepts: Sequence[Concept], number: int) -> list[Picture]:
        """Returns images of other objects than the concepts."""
        if not number:
            return []
        gone = {concept.name.lower() for concept in concepts}
        known = OBJECT_NAMES if embedded_name(self.pipe) else OBJECTS
        names = [name for name in known if name.lower() not in gone]
        return self.draw(Path("others"), requests_for_others(names, number, self.seed + OTHERS))

    def draw(self, folder: Path, requests: list[Request]) -> list[Picture]:
        """Draws requests into a folder, and returns the images with their prompts."""
        claim(self.out / folder, self.made_with)
        images = draw_gallery(self.pipe, requests, self.out / folder, self.drawing, "Pictures to learn from")
        return [Picture(request.prompt, images[i]) for i, request in enumerate(requests)]
