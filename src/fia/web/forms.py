"""The forms that the page sends. Every field is checked before a job is queued."""

import re

from pydantic import BaseModel, ConfigDict, Field

from ..concepts import Concept, Kind, as_concepts
from ..settings import Value
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
    """A model, concepts to forget, and names to keep."""

    model: str
    concepts: list[NamedConcept]
    keep: list[NamedConcept] = []

    def checked(self) -> list[Concept]:
        """Returns the concepts to forget.

        Raises:
            Refused: if there are too many, or if a name is empty, too long, given twice, or without letters.
        """
        return _checked("concepts", self.concepts)

    def checked_keep(self) -> list[Concept]:
        """Returns the names to keep, which may be none.

        Raises:
            Refused: if a name cannot be used, or is to be forgotten too.
        """
        kept = _checked("keep", self.keep)
        forgotten = {tidy(item.name).casefold() for item in self.concepts}
        for concept in kept:
            if concept.name.casefold() in forgotten:
                raise Refused("keep", f"{concept.name!r} cannot be forgotten and kept at once; remove one of the two.")
        return kept


def _checked(field: str, items: list[NamedConcept]) -> list[Concept]:
    """Returns the concepts that a person typed into a field."""
    if len(items) > MOST_CONCEPTS:
        raise Refused(field, f"{len(items)} names; give at most {MOST_CONCEPTS} at a time.")
    with entered_in(field):
        concepts = as_concepts([Concept(tidy(item.name), item.kind) for item in items]) if items else []
    for concept in concepts:
        if len(concept.name) > LONGEST_NAME:
            start = concept.name[:20]
            raise Refused(field, f"{start!r}… has {len(concept.name)} characters; a name has at most {LONGEST_NAME}.")
        if not re.search(r"\w", concept.name):
            raise Refused(field, f"{concept.name!r} has no letters; give the words that a prompt would use for it.")
    return concepts


class FindForm(ConceptsForm):
    """What to forget, at least one concept, and how to find it. None takes what is recommended."""

    edit: Value = "rewrite"
    spatial_ratio: float | None = Field(default=None, ge=0, le=1)
    prompts_per_concept: int | None = Field(default=None, ge=1)

    def checked(self) -> list[Concept]:
        """Returns the concepts to forget; see `ConceptsForm.checked`. Refuses an empty list too."""
        if not self.concepts:
            raise Refused("concepts", "No concept was given; name at least one.")
        return super().checked()


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
