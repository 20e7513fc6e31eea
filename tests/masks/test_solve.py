"""The solution of one layer, against the direct one."""

from dataclasses import replace

import numpy as np
import pytest
import rewriting_reference as reference
import torch

from fia.errors import DataError
from fia.masks import conjugate_gradients, solve
from fia.masks.low_rank import Moment, Response
from fia.masks.rewriting import Rewriting, Source
from fia.masks.solve import Quadratic, solve_rows

CONCEPTS = ("church", "tench")


def random_moment(generator, inputs, rank):
    vectors = torch.linalg.qr(torch.randn(inputs, rank, generator=generator)).Q
    values = (10 * torch.rand(rank, generator=generator)).sort(descending=True).values
    return Moment(vectors.half(), values, 0.05)


def random_response(generator, outputs, inputs, rank):
    left, right = (torch.linalg.qr(torch.randn(n, rank, generator=generator)).Q.half() for n in (outputs, inputs))
    return Response(left, torch.rand(rank, generator=generator).sort(descending=True).values, right)


def rewriting(inputs=24, outputs=10, rank=5, seed=0, retain_weight=1.0, ridge=0.01):
    """Returns the statistics of two concepts in one layer; the list has three words, one of them near the church."""
    generator = torch.Generator().manual_seed(seed)
    near = {"layer": random_moment(generator, inputs, rank)}
    listed = [near["layer"], *(random_moment(generator, inputs, rank) for _ in range(2))]
    total = torch.linalg.eigh(sum(moment.dense() for moment in listed) / 3)
    whole = Moment(total.eigenvectors.flip(1).half(), total.eigenvalues.flip(0).float(), 0.0)
    return Rewriting(
        moments={name: {"layer": random_moment(generator, inputs, rank)} for name in CONCEPTS},
        responses={name: {"layer": random_response(generator, outputs, inputs, 3)} for name in CONCEPTS},
        sources={
            "base b": Source("base", {"layer": random_moment(generator, inputs, rank)}),
            "named cat": Source("named", {"layer": random_moment(generator, inputs, rank)}),
            "words w": Source("words", {"layer": whole}, 3),
            "near w chapel": Source("near", near),
        },
        near={"church": ("near w chapel",), "tench": ()},
        retain_weight=retain_weight,
        ridge=ridge,
    )


def directly(statistics, selected, strengths=(1.0, 1.0)):
    sources = {key: source.moments["layer"].dense().numpy() for key, source in statistics.sources.items()}
    listed = (3 * sources["words w"] - sources["near w chapel"]) / 2
    return reference.solve(
        [own["layer"].dense().numpy() for own in statistics.moments.values()],
        [
            strength * own["layer"].dense().numpy()
            for own, strength in zip(statistics.responses.values(), strengths, strict=True)
        ],
        (sources["base b"] + 2 * listed) / 6 + sources["named cat"] / 2,
        selected,
        statistics.retain_weight,
        statistics.ridge,
    )


def random_selection(outputs, inputs, share, seed=0):
    return torch.rand(outputs, inputs, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 1.0])  # fewer columns than H has directions, more, and all
@pytest.mark.parametrize("rank", [2, 5])
def test_against_the_direct_solution(share, rank):
    statistics, selected = rewriting(rank=rank), random_selection(10, 24, share)
    indices = selected.flatten().nonzero()[:, 0].int()
    solved = statistics.solve("layer", indices, {})
    expected = directly(statistics, selected.numpy())[selected.numpy()]
    # The vectors are stored in float16, but both solutions use the stored ones. What is left is that H of the list
    # minus a word has rounding errors of float16 below zero, which count as zero here.
    np.testing.assert_allclose(solved.numpy(), expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("inputs", [7, 300])
def test_narrow_and_wide_layers(inputs):
    statistics, selected = rewriting(inputs=inputs), random_selection(10, inputs, 0.4)
    indices = selected.flatten().nonzero()[:, 0].int()
    expected = directly(statistics, selected.numpy())[selected.numpy()]
    solved = statistics.solve("layer", indices, {}).numpy()
    np.testing.assert_allclose(solved, expected, atol=2e-3 * np.abs(expected).max())


def test_strengths_scale_the_response_of_their_concept():
    statistics, selected = rewriting(), random_selection(10, 24, 0.5)
    indices = selected.flatten().nonzero()[:, 0].int()
    expected = directly(statistics, selected.numpy(), (0.25, 1.0))[selected.numpy()]
    solved = statistics.solve("layer", indices, {"church": 0.25}).numpy()
    np.testing.assert_allclose(solved, expected, atol=2e-3 * np.abs(expected).max())
    half, whole = (statistics.solve("layer", indices, dict.fromkeys(CONCEPTS, s)) for s in (0.5, 1.0))
    torch.testing.assert_close(half, whole / 2)


def test_no_connection_has_nothing_to_solve():
    assert len(rewriting().solve("layer", torch.empty(0, dtype=torch.int32), {})) == 0


def test_rows_without_a_selected_column_are_left_out():
    selected = torch.zeros(10, 24, dtype=torch.bool)
    selected[3, 5:9] = selected[7, :2] = True
    statistics, indices = rewriting(), selected.flatten().nonzero()[:, 0].int()
    expected = directly(statistics, selected.numpy())[selected.numpy()]
    np.testing.assert_allclose(
        statistics.solve("layer", indices, {}).numpy(), expected, atol=2e-3 * np.abs(expected).max()
    )


def test_a_layer_that_cannot_be_solved_is_named():
    quadratic = Quadratic(torch.ones(4, 1, dtype=torch.float64), 1.0)
    response = torch.full((2, 4), torch.inf, dtype=torch.float64)
    with pytest.raises(DataError, match=r"layer ff\.2 cannot be solved"):
        solve_rows(quadratic, response, torch.tensor([0, 5], dtype=torch.int32), "ff.2")


def test_what_is_retained_moves_less_with_a_larger_weight_and_the_concept_is_removed_less():
    selected = random_selection(10, 24, 0.7)
    indices = {"layer": selected.flatten().nonzero()[:, 0].int()}
    moved, removed = [], []
    for weight in (0.01, 1.0, 100.0):
        statistics = rewriting(retain_weight=weight)
        effects = statistics.effects(indices, {"layer": statistics.solve("layer", indices["layer"], {})})
        moved.append(effects.moved)
        removed.append(sum(effects.removed.values()))
    assert moved[0] > moved[1] > moved[2]
    assert removed[0] > removed[1] > removed[2]


def test_with_everything_free_and_nothing_retained_all_of_a_lone_concept_is_removed():
    statistics = rewriting(retain_weight=1e-9).only(["church"])
    indices = torch.arange(240, dtype=torch.int32)
    effects = statistics.effects({"layer": indices}, {"layer": statistics.solve("layer", indices, {})})
    assert effects.removed["church"] == pytest.approx(1, abs=1e-3)


def test_words_near_a_concept_are_retained_again_without_it():
    statistics = rewriting()
    assert statistics.number_of_words == 2
    assert statistics.only(["tench"]).number_of_words == 3
    assert statistics.only(["church"]).sources.keys() == statistics.sources.keys()


def test_words_without_the_list_are_retained_but_not_near_any_concept():
    statistics = rewriting()
    words = {
        f"word w {word}": Source("word", statistics.sources["base b"].moments) for word in ("chapel", "tree", "owl")
    }
    base = {"base b": statistics.sources["base b"]}
    of_tench = replace(statistics.only(["tench"]), sources=base | words, near={"tench": ("near w owl",)})
    assert of_tench.number_of_words == 2
    assert [weight for weight, _ in of_tench.retained("layer")] == [1 / 3] * 3
    assert replace(of_tench, near={"tench": ()}).number_of_words == 3
    for united in (of_tench | statistics.only(["church"]), statistics.only(["church"]) | of_tench):
        assert united.number_of_words == 1  # the tree: the chapel is near the church, and the owl near the tench
        assert united.only(["church"]).number_of_words == 2  # the whole list but for the chapel
    assert replace(of_tench, sources=base).number_of_words == 0


def test_a_name_that_is_forgotten_is_not_retained():
    statistics = rewriting()
    statistics.moments["cat"] = statistics.moments["church"]
    assert statistics.kept_names == []
    assert [round(weight, 3) for weight, _ in statistics.retained("layer")] == [0.333, 1.0, -0.333]


def spread_quadratic(inputs, k, smallest):
    """Returns H with k directions whose eigenvalues run from `smallest` to 10, and delta = 0.01."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.linalg.qr(torch.randn(inputs, k, generator=generator, dtype=torch.float64)).Q
    return Quadratic(vectors * torch.logspace(1, smallest, k, dtype=torch.float64).sqrt(), 0.01)


def one_by_one(quadratic, response, selected):
    whole, result = quadratic.dense(), torch.zeros_like(response)
    for i, own in enumerate(selected):
        result[i, own] = torch.linalg.solve(whole[own][:, own], response[i, own])
    return result


def test_many_columns_are_solved_together(monkeypatch):
    """Conjugate gradients solve rows of different lengths, some of them empty or whole, in several batches."""
    monkeypatch.setattr(solve, "NUMBERS_TOGETHER", 2000)
    quadratic, selected = spread_quadratic(400, 60, -2), random_selection(30, 400, 0.6)
    selected[3], selected[4], selected[29] = False, True, False
    response = torch.randn(30, 400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = one_by_one(quadratic, response, selected)
    monkeypatch.setattr(solve, "_solve_batch", None)  # not one row is left for it
    monkeypatch.setattr(solve, "_together_is_less", lambda *_, **__: True)
    solved = solve_rows(quadratic, response, selected.flatten().nonzero()[:, 0].int(), "layer")
    torch.testing.assert_close(solved, expected[selected], rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


def test_rows_that_conjugate_gradients_do_not_solve_are_solved_one_by_one(monkeypatch):
    """One iteration is too few."""
    monkeypatch.setattr(conjugate_gradients, "ITERATIONS", 1)
    monkeypatch.setattr(solve, "_together_is_less", lambda *_, **__: True)
    quadratic, selected = spread_quadratic(200, 40, -2), random_selection(20, 200, 0.3)
    response = torch.randn(20, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = conjugate_gradients.Rows.sharing(quadratic.factor, quadratic.shift, selected.double().mean(0))
    assert together is not None
    assert together.solve(response, selected.float()).isnan().any()
    expected = one_by_one(quadratic, response, selected)
    solved = solve_rows(quadratic, response, selected.flatten().nonzero()[:, 0].int(), "layer")
    torch.testing.assert_close(solved, expected[selected], rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


def test_what_conjugate_gradients_cannot_solve_is_tried_on_the_first_rows_alone(monkeypatch):
    """The largest eigenvalue of H is so large beside delta that float32 is not enough."""
    tried = []
    real = conjugate_gradients.Rows.solve

    def count(self, response, selected):
        tried.append(len(response))
        return real(self, response, selected)

    monkeypatch.setattr(conjugate_gradients.Rows, "solve", count)
    quadratic, selected = spread_quadratic(1280, 100, -6), random_selection(40, 1280, 0.7)
    quadratic.factor.mul_((1e6 * quadratic.shift) ** 0.5 / quadratic.factor.norm(dim=0).max())
    response = torch.randn(40, 1280, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    monkeypatch.setattr(solve, "_together_is_less", lambda *_, **__: True)
    solved = solve_rows(quadratic, response, selected.flatten().nonzero()[:, 0].int(), "layer")
    assert tried == [solve.TRIAL]
    expected = one_by_one(quadratic, response, selected)
    torch.testing.assert_close(solved, expected[selected], rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_columns_that_are_nearly_one_are_named(monkeypatch):
    monkeypatch.setattr(solve, "_together_is_less", lambda *_, **__: True)
    factor = torch.full((400, 2), 1e3, dtype=torch.float64)
    factor[:, 1] *= 1 + 1e-12
    selected = random_selection(5, 400, 0.5).flatten().nonzero()[:, 0].int()
    assert conjugate_gradients.Rows.sharing(factor, 1e-12, torch.ones(400)) is None
    with pytest.raises(DataError, match="layer"):
        solve_rows(solve.Quadratic(factor, 1e-12), torch.ones(5, 400, dtype=torch.float64), selected, "layer")


@pytest.mark.parametrize(
    ("k", "inputs", "selected", "together"),
    [(200, 5000, 250, False), (200, 5000, 2000, True), (300, 600, 100, False), (300, 600, 290, True)],
)
def test_rows_are_solved_together_where_that_is_less_work(k, inputs, selected, together):
    counts = torch.full((10,), selected)
    assert solve._together_is_less(k, inputs, counts, is_direct=selected <= k) is together
