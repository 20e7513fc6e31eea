"""What the methods are to forget."""

import pytest

from fia.bench.chosen_settings import FOR_FEW, FOR_MANY, FOR_ONE, FOR_SMOKING, FOR_STYLES, FOR_TWO, methods_for
from fia.bench.tasks import TASKS, objects_task
from fia.testbed.world import IMAGENETTE, OBJECT_NAMES, PERSON_NAMES, STYLE_NAMES


@pytest.mark.parametrize(("number", "kept"), [(1, 9), (5, 5), (10, 10), (20, 5), (30, 0)])
def test_objects_are_forgotten_in_order_and_others_kept(number: int, kept: int) -> None:
    task = objects_task(number)
    assert [concept.name for concept in task.concepts] == list(OBJECT_NAMES[:number])
    assert len(task.keep) == kept
    assert not set(task.keep) & set(OBJECT_NAMES[:number])


def test_settings_go_by_the_number_of_concepts() -> None:
    assert (methods_for(objects_task(1)), methods_for(objects_task(2))) == (FOR_ONE, FOR_TWO)
    assert methods_for(objects_task(5)) == FOR_FEW
    assert methods_for(objects_task(10)) == methods_for(objects_task(30)) == FOR_MANY
    assert [methods_for(task) for task in TASKS[6:9]] == [FOR_STYLES, FOR_SMOKING, FOR_MANY]
    assert FOR_FEW.keys() == FOR_MANY.keys()


@pytest.mark.parametrize("number", [5, 20])
def test_where_nothing_is_named_only_methods_that_can_be_told_run(number: int) -> None:
    task = objects_task(number, is_told=False)
    assert (task.concepts, task.keep) == (objects_task(number).concepts, ())
    told = methods_for(objects_task(number))
    assert methods_for(task) == {name: told[name] for name in ("FIA rewritten", "UCE", "RECE", "SPEED", "DP", "OCE")}


def test_every_kind_is_forgotten_alone_and_with_the_others() -> None:
    concepts = {task.name: [concept.name for concept in task.concepts] for task in TASKS}
    assert list(concepts)[:2] == ["forget 5 objects", "forget 10 objects"]  # those of --quick
    assert concepts["forget all styles"] == list(STYLE_NAMES)
    assert concepts["forget smoking"] == ["smoking"]
    assert concepts["forget all kinds at once"] == [*IMAGENETTE[:5], *STYLE_NAMES, "smoking"]
    assert TASKS[8].keep == IMAGENETTE[5:] + PERSON_NAMES
