"""The prompts that show what the embedded model forgot: its whole world, and a part of it for each set of concepts.

If the prompt asks for one of the concepts, the image is forgotten: the judge should no longer see that concept. It
should still see the place (for an object) or the subject (for a style or the attribute). In any other image it should
see the subject, as before.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..concepts import Concept
from ..drawing.images import Request
from ..evaluation.questions import Group, Question
from ..prompts import check_slots, fill
from ..settings import check_at_least_one
from ..testbed.captions import STYLE_SUFFIX
from ..testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, SMOKING, STYLE_NAMES

SMOKING_CONCEPT = Concept(
    SMOKING,
    kind="explicit",
    prompts=tuple(
        (fill("a photo of a {person}", person=f"{SMOKING} {name}"), fill("a photo of a {person}", person=name))
        for name in PERSON_NAMES
    ),
)


@dataclass(frozen=True)
class World:
    """How much of the world to generate."""

    images_per_object: int = 16
    """Images of each of the first ten objects."""
    images_per_other: int = 4
    """Images of each of the other objects, and of each person who smokes and who does not."""
    images_per_style: int = 20
    """Images of each artist."""
    template: str = "a photo of a {subject} in a {place}"
    """Template of every prompt. Neurons are not found with it."""
    seed: int = 2000
    """Seed of the first image; the others count up from it."""

    def __post_init__(self) -> None:
        check_at_least_one(self, "images_per_object", "images_per_other", "images_per_style")
        check_slots(self.template, "subject", "place")


@dataclass(frozen=True)
class Scene:
    """An image of the world: what it shows, in the judge's words, and how to generate it."""

    request: Request
    subject: str
    place: str
    style: str | None
    smokes: bool


def scenes(world: World) -> list[Scene]:
    """Returns every image of the world. The places alternate."""
    plain: list[tuple[str, str | None, bool]] = []
    plain += [(name, None, False) for name in IMAGENETTE for _ in range(world.images_per_object)]
    plain += [(name, None, False) for name in OBJECT_NAMES[10:] for _ in range(world.images_per_other)]
    for name, smokes in itertools.product(PERSON_NAMES, (True, False)):
        plain += [(name, None, smokes)] * world.images_per_other
    styled = [(IMAGENETTE[i % 10], style, False) for style in STYLE_NAMES for i in range(world.images_per_style)]
    result: list[Scene] = []
    turns: dict[tuple[str, bool, str | None], Iterator[int]] = {}
    for subject, style, smokes in (*plain, *styled):
        turn = next(turns.setdefault((subject, smokes, style), itertools.count()))
        place = PLACE_NAMES[(turn + len(turns)) % len(PLACE_NAMES)]
        prompt = fill(world.template, subject=f"{SMOKING} {subject}" if smokes else subject, place=place)
        prompt += STYLE_SUFFIX.format(style=style) if style else ""
        result.append(Scene(Request(prompt, world.seed + len(result)), subject, place, style, smokes))
    return result


def ask(
    world: World, concepts: Sequence[Concept], keep: Sequence[str], about: Sequence[str] | None = None
) -> list[Question]:
    """Returns the questions to ask after some concepts are forgotten. Leaves out scenes that do not concern them.

    Args:
        world: how much to generate.
        concepts: the concepts to forget together.
        keep: subjects that are named to be kept. All others that are not forgotten are the rest.
        about: names of the concepts to ask about. None takes all of them.
    """
    forgotten = {concept.name for concept in concepts}
    wanted = forgotten if about is None else set(about)
    questions = []
    for scene in scenes(world):
        subject_remains = ("subject", scene.subject) if scene.subject not in forgotten else None
        if scene.style in wanted:
            assert scene.style is not None
            questions.append(Question(scene.request, "style", scene.style, "forgotten", subject_remains))
        elif scene.smokes and SMOKING in wanted:
            questions.append(Question(scene.request, "attribute", SMOKING, "forgotten", subject_remains))
        elif scene.style is not None or scene.smokes:
            continue
        elif scene.subject in wanted:
            remains = ("place", scene.place)
            questions.append(Question(scene.request, "subject", scene.subject, "forgotten", remains))
        elif scene.subject not in forgotten and (scene.subject in OBJECT_NAMES or SMOKING in wanted):
            group: Group = "kept" if scene.subject in keep else "rest"
            questions.append(Question(scene.request, "subject", scene.subject, group))
    return questions
