"""The forms that the page sends. Every field is checked before a job is queued."""

import re

from pydantic import BaseModel, ConfigDict, Field

from ..concepts import Concept, Kind, as_concepts
from .refusal import Refused, entered_in

MOST_CONCEPTS, MOST_PROMPTS, MOST_PICTURES = 20, 12, 32
LONGEST = 300  # characters of a prompt; the model's own limit is checked once the model is loaded
LONGEST_NAME = 60  # characters of a concept's name


class Form(BaseModel):
    """A form that refuses unknown fields and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NamedConcept(Form):
    """A concept as the person typed it."""

    name: str
    kind: Kind = "object"


class ConceptsForm(Form):
    """A model, and concepts to forget."""

    model: str
    concepts: list[NamedConcept]

    def checked(self) -> list[Concept]:
        """Returns the concepts.

        Raises:
            Refused: if there is no concept, if there are too many, or if a name is empty, too long, given twice, or
                without letters.
        """
        if len(self.concepts) > MOST_CONCEPTS:
            raise Refused("concepts", f"{len(self.concepts)} concepts; forget at most {MOST_CONCEPTS} at a time.")
        with entered_in("concepts"):
            concepts = as_concepts([Concept(tidy(item.name), item.kind) for item in self.concepts])
        for concept in concepts:
            if len(concept.name) > LONGEST_NAME:
                start = concept.name[:20]
                message = f"{start!r}… has {len(concept.name)} characters; a name has at most {LONGEST_NAME}."
                raise Refused("concepts", message)
            if not re.search(r"\w", concept.name):
                message = f"{concept.name!r} has no letters; give the words that a prompt would use for it."
                raise Refused("concepts", message)
        return concepts


class FindForm(ConceptsForm):
    """What to forget, and how to find it."""

    spatial_ratio: float | None = None
    prompts_per_concept: int | None = None


class DrawForm(Form):
    """Which images to generate, and under which mask."""

    prompts: list[str]
    first_seed: int = Field(default=0, ge=0, le=2**32 - 1)
    pictures: int = Field(default=1, ge=1, le=8)
    num_inference_steps: int = Field(default=25, ge=1, le=200)
    strengths: dict[str, float]
    agnostic_ratio: float
    control: bool = False

    def checked_prompts(self) -> list[str]:
        """Returns the prompts, without empty ones and repetitions.

        Raises:
            Refused: if there is no prompt, if there are too many, if one is too long, or if they need too many images.
        """
        prompts = list(dict.fromkeys(filter(None, map(tidy, self.prompts))))
        if not prompts:
            raise Refused("prompts", "There is no prompt; write at least one, each on its own line.")
        if len(prompts) > MOST_PROMPTS:
            raise Refused("prompts", f"{len(prompts)} prompts; give at most {MOST_PROMPTS} at a time.")
        if len(prompts) * self.pictures > MOST_PICTURES:
            message = (
                f"{len(prompts)} prompts with {self.pictures} images each; generate at most {MOST_PICTURES} images at "
                "a time."
            )
            raise Refused("pictures", message)
        for prompt in prompts:
            if len(prompt) > LONGEST:
                message = f"{prompt[:30]!r}… has {len(prompt)} characters; a prompt has at most {LONGEST}."
                raise Refused("prompts", message)
        return prompts


def tidy(text: str) -> str:
    """Returns a text with single spaces, and without invisible characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
