"""The tasks of the benchmark: what each method should forget."""

from dataclasses import dataclass

from ..concepts import Concept
from ..testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, SMOKING, STYLE_NAMES
from .questions import SMOKING_CONCEPT


@dataclass(frozen=True)
class BenchTask:
    """Concepts to forget.

    Attributes:
        name: name of the task.
        concepts: the concepts to forget together.
        keep: subjects that every method is told to keep. Nobody lists the others that are not forgotten: the rest.
        is_told: False if the task is one of the others, but names nothing to be kept.
    """

    name: str
    concepts: tuple[Concept, ...]
    keep: tuple[str, ...]
    is_told: bool = True


def objects_task(number: int, *, is_told: bool = True) -> BenchTask:
    """Returns the task to forget the first `number` objects.

    It names the others of the first ten to be kept; from ten on, every second of all the others. Without `is_told` it
    names nothing.
    """
    concepts = tuple(Concept(name) for name in OBJECT_NAMES[:number])
    keep = OBJECT_NAMES[number:10] if number < 10 else OBJECT_NAMES[number::2]
    name = f"forget {number} object{'s' if number > 1 else ''}"
    return (
        BenchTask(name, concepts, keep) if is_told else BenchTask(f"{name}, nothing named", concepts, (), is_told=False)
    )


STYLES = tuple(Concept(name, kind="style") for name in STYLE_NAMES)
TASKS = (
    *(objects_task(number) for number in (5, 10, 1, 2, 20, 30)),
    BenchTask("forget all styles", STYLES, IMAGENETTE),
    BenchTask(f"forget {SMOKING}", (SMOKING_CONCEPT,), PERSON_NAMES),
    BenchTask(
        "forget all kinds at once",
        (*(Concept(name) for name in IMAGENETTE[:5]), *STYLES, SMOKING_CONCEPT),
        IMAGENETTE[5:] + PERSON_NAMES,
    ),
    *(objects_task(number, is_told=False) for number in (5, 10, 20)),
)
