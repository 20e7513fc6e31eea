"""The types of the results of attacks, as the JSON files hold them."""

from typing import TypedDict

from ..evaluation.records import EditName, Proportion
from ..provenance import Identity


class UnitResult(TypedDict):
    """An attack on one concept in one state of the model.

    Attributes:
        seen: for each image, whether the judge sees the concept.
        notes: what the attack has to say, such as the prompt that it found.
        seconds: how long it took.
    """

    seen: list[bool]
    notes: dict[str, float | str]
    seconds: float


class StateScores(TypedDict):
    """An attack on all concepts in one state of the model.

    Attributes:
        before: images in which the judge sees the concept without an attack, with the same prompts and seeds.
        after: the same after the attack.
        by_concept: `after` by concept.
        notes: what the attack has to say, by concept.
        seconds: how long the attack took.
    """

    before: Proportion
    after: Proportion
    by_concept: dict[str, Proportion]
    notes: dict[str, dict[str, float | str]]
    seconds: float


class AttackScores(TypedDict):
    """An attack in one of its variants.

    Attributes:
        attack: its name.
        variant: the variant, or nothing.
        group: its group.
        needs: what the attacker must have.
        paper: its source.
        budget: the fields of the attack.
        states: the scores by state of the model.
    """

    attack: str
    variant: str
    group: str
    needs: str
    paper: str
    budget: dict[str, object]
    states: dict[str, StateScores]


class AttackResult(TypedDict):
    """What `fia attack` writes to attack.json.

    Attributes:
        model: name, hash, type and scheduler of the model.
        edit: names and hashes that identify the edit.
        concepts: the concepts, with their kinds.
        judges: the judge of each concept.
        images_per_concept: prompts of each concept.
        seed: seed of the first of them.
        drawing: how the images were generated.
        environment: versions, device and commit.
        attacks: the scores, in the order of the attacks.
    """

    model: Identity
    edit: EditName
    concepts: list[dict[str, str]]
    judges: dict[str, Identity]
    images_per_concept: int
    seed: int
    drawing: dict[str, object]
    environment: dict[str, object]
    attacks: list[AttackScores]
