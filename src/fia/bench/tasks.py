"""What the benchmark asks: pictures of the embedded model's whole world, and for each task which of them should go.

A picture is asked for by a prompt, with a seed of its own. It is forgotten in a task if it shows one of the task's
concepts: then the judge should no longer see that concept. Otherwise the judge should see its subject, as before.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ..concepts import Concept
from ..prompts import fill
from ..testbed.captions import SMOKING, STYLE_SUFFIX
from ..testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, PLACE_NAMES, STYLE_NAMES

FORGOTTEN, KEPT, REST = "forgotten", "kept", "rest"


@dataclass(frozen=True)
class Picture:
    """What a prompt asks for, in the judge's words.

    Attributes:
        number: of the picture in the whole benchmark; its seed is counted from it.
        style: an artist, or None.
    """

    number: int
    prompt: str
    subject: str
    place: str
    style: str | None = None
    smokes: bool = False


@dataclass(frozen=True)
class Question:
    """What the judge is asked about a picture.

    Attributes:
        picture: the picture.
        head: of the judge: "subject", "style" or "attribute".
        answer: what it would say if the concept, or what is kept, is there.
        group: "forgotten", "kept" or "rest".
    """

    picture: Picture
    head: str
    answer: str
    group: str


@dataclass(frozen=True)
class Task:
    """Concepts to forget.

    Attributes:
        name: of the task.
        concepts: to forget, together.
        keep: subjects that are named as those to keep; all others that are not forgotten are the rest.
    """

    name: str
    concepts: tuple[Concept, ...]
    keep: tuple[str, ...]

    def questions(self, pictures: list[Picture]) -> list[Question]:
        """Returns the questions that the task asks; pictures that have nothing to do with it are left out."""
        objects = {concept.name for concept in self.concepts if concept.kind == "object"}
        styles = {concept.name for concept in self.concepts if concept.kind == "style"}
        smoking = SMOKING in {concept.name for concept in self.concepts}
        questions = []
        for picture in pictures:
            if picture.subject in objects and picture.style is None:
                questions.append(Question(picture, "subject", picture.subject, FORGOTTEN))
            elif picture.style is not None:
                if picture.style in styles:
                    questions.append(Question(picture, "style", picture.style, FORGOTTEN))
            elif picture.smokes:
                if smoking:
                    questions.append(Question(picture, "attribute", SMOKING, FORGOTTEN))
            elif picture.subject in OBJECT_NAMES or smoking:
                group = KEPT if picture.subject in self.keep else REST
                questions.append(Question(picture, "subject", picture.subject, group))
        return questions


SMOKING_CONCEPT = Concept(
    SMOKING,
    kind="explicit",
    prompts=tuple(
        (fill("a photo of a {person}", person=f"{SMOKING} {name}"), fill("a photo of a {person}", person=name))
        for name in PERSON_NAMES
    ),
)


def pictures(
    of_each: int, of_each_other: int, of_each_style: int, template: str = "a photo of a {subject} in a {place}"
) -> list[Picture]:
    """Returns every picture of the benchmark; places take turns.

    Args:
        of_each: pictures of each of the first ten objects.
        of_each_other: of each of the other objects, and of each person who smokes and who does not.
        of_each_style: of each artist.
        template: of every prompt.
    """
    plain = [(name, None, False) for name in IMAGENETTE for _ in range(of_each)]
    plain += [(name, None, False) for name in OBJECT_NAMES[10:] for _ in range(of_each_other)]
    persons = [(name, None, smokes) for name in PERSON_NAMES for smokes in (True, False) for _ in range(of_each_other)]
    styled = [(IMAGENETTE[i % 10], style, False) for style in STYLE_NAMES for i in range(of_each_style)]
    result: list[Picture] = []
    counts: dict[tuple, Iterator[int]] = {}
    for subject, style, smokes in (*plain, *persons, *styled):
        turn = next(counts.setdefault((subject, smokes, style), itertools.count()))
        place = PLACE_NAMES[(turn + len(counts)) % len(PLACE_NAMES)]
        prompt = fill(template, subject=f"{SMOKING} {subject}" if smokes else subject, place=place)
        prompt += STYLE_SUFFIX.format(style=style) if style else ""
        result.append(Picture(len(result), prompt, subject, place, style, smokes))
    return result


def objects_task(number: int) -> Task:
    """Returns the task to forget the first so many objects, and to keep the others of the ten, or all others."""
    concepts = tuple(Concept(name) for name in OBJECT_NAMES[:number])
    keep = OBJECT_NAMES[number:10] if number < 10 else OBJECT_NAMES[number:]
    return Task(f"forget {number} object{'s' if number > 1 else ''}", concepts, keep)


STYLES = tuple(Concept(name, kind="style") for name in STYLE_NAMES)
TASKS = (
    *(objects_task(number) for number in (5, 10, 1, 2, 20, 30)),
    Task("forget all styles", STYLES, IMAGENETTE),
    Task(f"forget {SMOKING}", (SMOKING_CONCEPT,), PERSON_NAMES),
    Task(
        "forget all kinds at once",
        (*(Concept(name) for name in IMAGENETTE[:5]), *STYLES, SMOKING_CONCEPT),
        IMAGENETTE[5:] + PERSON_NAMES,
    ),
)
