"""Where the running sums are kept, by what is free."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from warned import warned

from fia.finding import memory
from fia.finding.memory import MemoryPlan, plan_memory
from fia.finding.neurons import TemporalIntegral
from fia.finding.probe import Total
from fia.finding.sums import GroupStatistics
from fia.models.layers import MaskableLayer

LAYERS = {str(i): MaskableLayer(nn.Linear(10, 10)) for i in range(4)}  # 400 connections
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def free(monkeypatch, **numbers):
    monkeypatch.setattr(memory, "numbers_that_fit", lambda device: numbers[device.type])


def test_everything_is_with_the_model_where_it_fits(monkeypatch):
    free(monkeypatch, cuda=400 * (2 + 2 * 3), cpu=0)
    assert plan_memory(LAYERS, 3, CUDA) == MemoryPlan([LAYERS], CUDA, 3)


def test_the_concepts_sums_go_to_the_cpu_where_a_gpu_has_no_room(monkeypatch):
    free(monkeypatch, cuda=400 * (2 + 2 * 3) - 1, cpu=400 * 2 * 3)
    assert plan_memory(LAYERS, 3, CUDA) == MemoryPlan([LAYERS], CPU, 3)


@pytest.mark.parametrize(("device", "cpu"), [(CUDA, 400 * 2 * 3 - 1), (CPU, 400 * (2 + 2 * 3) - 1)])
def test_the_layers_take_turns_where_that_does_not_help(monkeypatch, device, cpu):
    free(monkeypatch, cuda=400 * (2 + 2 * 3) - 1, cpu=cpu)
    with warned("3 concepts at once.*in 2 runs"):
        plan = plan_memory(LAYERS, 3, device)
    assert [list(part) for part in plan.parts] == [["0", "1", "2"], ["3"]]
    assert plan.integrals == device
    assert plan.bytes == 4 * 300 * (2 + 2 * 3)


def test_a_layer_that_does_not_fit_is_a_part_by_itself(monkeypatch):
    free(monkeypatch, cpu=1)
    with warned("in 4 runs"):
        assert plan_memory(LAYERS, 1, CPU).parts == [{name: layer} for name, layer in LAYERS.items()]


def test_no_more_numbers_are_held_than_are_planned():
    """At every moment of every step: two a connection for the layer, and two for each concept."""
    number, shape = 3, (10, 10)
    statistics = GroupStatistics({"layer": shape}, [0.1] * number, 2, count_ties=False)

    def held():
        layer = statistics.layers["layer"]
        shared = (layer.base.mean, layer.base.squares, layer.base_mean_plus_std, layer.concept.sum)
        own = [tensor for integral in layer.integrals for tensor in (integral.magnitude, integral.frequency)]
        return len({t.data_ptr() for t in (*shared, *own) if t is not None})

    most = 0
    for _ in range(3):
        for row in range(2 * (1 + number)):
            statistics.receive("layer", range(row, row + 1), torch.rand(1, *shape))
            most = max(most, held())
    assert most == memory.SHARED + memory.FOR_A_CONCEPT * number


def test_a_total_is_one_number_for_a_layer_of_any_size():
    """It is the sum over the connections of what the integrals hold."""
    collected = []
    for integral in (TemporalIntegral, Total):
        torch.manual_seed(0)
        statistics = GroupStatistics({"layer": (10, 10)}, [0.0] * 2, 2, count_ties=False, integral=integral)
        for _ in range(2):
            statistics.receive("layer", range(6), torch.rand(6, 10, 10))
        collected.append(statistics.layers["layer"].integrals)
    for whole, total in zip(*collected, strict=True):
        assert total.magnitude.numel() == total.frequency.numel() == 1
        torch.testing.assert_close(total.magnitude, whole.magnitude.sum())
        assert (total.steps, float(total.magnitude) > 0) == (2, True)


def test_what_is_kept_of_a_batch_keeps_no_other_rows():
    statistics = GroupStatistics({"layer": (10, 10)}, [0.1] * 3, 2, count_ties=False)
    statistics.receive("layer", range(5), torch.rand(5, 10, 10))  # the last is the first of a concept's two
    layer = statistics.layers["layer"]
    assert layer.concept.count == 1
    assert layer.concept.sum.untyped_storage().nbytes() == layer.concept.sum.nbytes


def test_processes_on_one_machine_share_its_memory(monkeypatch):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=800))
    assert (memory.free_memory(CPU), memory.numbers_that_fit(CPU)) == (800, 100)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert (memory.free_memory(CPU), memory.numbers_that_fit(CPU)) == (200, 25)


def test_the_sums_are_kept_where_they_should_be():
    away = TemporalIntegral((4, 6), torch.device("meta"))
    away.add(torch.rand(4, 6), 0.2)
    assert away.magnitude.is_meta
    assert away.frequency.is_meta
