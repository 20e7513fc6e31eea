"""What the methods are to forget."""

import pytest

from fia.bench.tasks import TASKS, objects_task
from fia.testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, STYLE_NAMES


@pytest.mark.parametrize(("number", "kept"), [(1, 9), (5, 5), (10, 20), (20, 10), (30, 0)])
def test_objects_are_forgotten_in_order_and_others_kept(number: int, kept: int) -> None:
    task = objects_task(number)
    assert [concept.name for concept in task.concepts] == list(OBJECT_NAMES[:number])
    assert len(task.keep) == kept
    assert not set(task.keep) & set(OBJECT_NAMES[:number])


def test_every_kind_is_forgotten_alone_and_with_the_others() -> None:
    concepts = {task.name: [concept.name for concept in task.concepts] for task in TASKS}
    assert list(concepts)[:2] == ["forget 5 objects", "forget 10 objects"]  # those of --quick
    assert concepts["forget all styles"] == list(STYLE_NAMES)
    assert concepts["forget smoking"] == ["smoking"]
    assert concepts["forget all kinds at once"] == [*IMAGENETTE[:5], *STYLE_NAMES, "smoking"]
    assert TASKS[-1].keep == IMAGENETTE[5:] + PERSON_NAMES
