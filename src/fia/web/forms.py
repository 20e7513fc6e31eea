"""What the page sends: checked field by field before anything is queued."""

import re

from pydantic import BaseModel, ConfigDict, Field

from ..concepts import Concept, Kind, as_concepts
from .refusal import Refused, entered_in

MOST_CONCEPTS, MOST_PROMPTS, MOST_PICTURES = 20, 12, 32
LONGEST = 300  # characters of a prompt; the model's own limit is checked once it is loaded
LONGEST_NAME = 60  # characters of a concept's name


class Form(BaseModel):
    """Refuses fields that do not exist, and numbers that are infinite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NamedConcept(Form):
    """A concept as it was typed."""

    name: str
    kind: Kind = "object"


class ConceptsForm(Form):
    """Concepts of a model."""

    model: str
    concepts: list[NamedConcept]

    def checked(self) -> list[Concept]:
        """Returns the concepts.

        Raises:
            Refused: if there is none, if there are too many, or for a name that is empty, given twice, or no words.
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
    """What to forget, and how to look for it."""

    spatial_ratio: float | None = None
    prompts_per_concept: int | None = None


class DrawForm(Form):
    """What to draw, and under which mask."""

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
            Refused: if there is none, if one is too long, or if they make too many pictures.
        """
        prompts = list(dict.fromkeys(filter(None, map(tidy, self.prompts))))
        if not prompts:
            raise Refused("prompts", "There is no prompt; write at least one, each on its own line.")
        if len(prompts) > MOST_PROMPTS:
            raise Refused("prompts", f"{len(prompts)} prompts; draw at most {MOST_PROMPTS} at a time.")
        if len(prompts) * self.pictures > MOST_PICTURES:
            message = f"{len(prompts)} prompts, {self.pictures} pictures each; draw at most {MOST_PICTURES} at a time."
            raise Refused("pictures", message)
        for prompt in prompts:
            if len(prompt) > LONGEST:
                message = f"{prompt[:30]!r}… has {len(prompt)} characters; a prompt has at most {LONGEST}."
                raise Refused("prompts", message)
        return prompts


def tidy(text: str) -> str:
    """Returns a text with single spaces, and without characters that cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
