"""SPEED: its change against the constrained least-squares problem solved directly, and its three parts."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import Concept
from fia.methods import SPEED
from fia.methods.speed import centres, constrained_change, most_influenced, refine, unconstrained_change
from fia.methods.text_embeddings import embed, embeddings_to_edit
from fia.methods.uce import projections


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_change_solves_the_constrained_problem() -> None:
    weight, erased, guides = numbers(4, 9), numbers(3, 9, seed=1), numbers(3, 9, seed=2)
    retained, invariants = numbers(2, 9, seed=3), numbers(2, 9, seed=4)
    settings = {"threshold": 1e-9, "ridge": 0.3}
    change = constrained_change(weight, erased, guides, retained, invariants, **settings)
    # Both sets of constraints say D k = 0. Lagrange's conditions for each row of D, solved as one linear system.
    fixed = torch.cat([retained, invariants])
    moment = erased.T @ erased / 3 + 0.3 * torch.eye(9, dtype=torch.float64)
    system = torch.cat([torch.cat([moment, fixed.T], dim=1), torch.cat([fixed, torch.zeros(4, 4)], dim=1)])
    for row, own in zip(weight, change, strict=True):
        wanted = torch.cat([(row @ (guides - erased).T) @ erased / 3, torch.zeros(4)])
        expected = torch.linalg.solve(system, wanted)[:9]
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)  # float64, well conditioned


def test_without_constraints_it_is_ridge_regression() -> None:
    weight, erased, guides = numbers(4, 6), numbers(3, 6, seed=1), numbers(3, 6, seed=2)
    change = unconstrained_change(weight, erased, guides)
    moment = sum(torch.outer(c, c) for c in erased) / 3 + torch.eye(6, dtype=torch.float64)
    crossed = sum(torch.outer(g - c, c) for c, g in zip(erased, guides, strict=True)) / 3
    torch.testing.assert_close(change, weight @ crossed @ torch.linalg.inv(moment), rtol=1e-9, atol=1e-9)


def test_what_is_influenced_most_stays() -> None:
    change = torch.eye(2, dtype=torch.float64)
    rows = torch.tensor([[1.0, 0.0], [0.0, 5.0], [6.0, 0.0]], dtype=torch.float64)
    assert torch.equal(most_influenced(change, rows), rows[1:])
    assert torch.equal(most_influenced(change, rows[:1]), rows[:1])  # which is not above its own mean


def test_copies_differ_only_in_the_direction_that_the_weight_hardly_sees() -> None:
    weight, change, kept = torch.diag(torch.tensor([3.0, 2.0, 0.1])).double(), numbers(3, 3), numbers(5, 3, seed=1)
    filtered = most_influenced(change, kept)
    refined = refine(weight, change, kept, numbers(10, 5, 3, seed=2))
    assert torch.equal(refined[: len(filtered)], filtered)
    copies = refined[len(filtered) :]
    assert 0 < len(copies) < 10 * len(filtered)
    assert all(bool(torch.isclose(copy[:2], filtered[:, :2]).all(dim=1).any()) for copy in copies)
    assert (copies @ change.T).norm(dim=1).mean() > (filtered @ change.T).norm(dim=1).min()
    assert torch.equal(refine(weight, change, kept, numbers(0, 5, 3)), kept)


def test_centres_of_clear_clusters() -> None:
    rows = torch.tensor([[0.0], [1.0], [10.0], [11.0], [12.0], [50.0]], dtype=torch.float64)
    assert centres(rows, 3).flatten().tolist() == [0.5, 11.0, 50.0]


def test_the_values_alone_change_and_what_is_kept_does_not(pipe: StableDiffusionPipeline) -> None:
    edit = SPEED(threshold=1e-6, ridge=0.01).unlearn(pipe, [Concept("cat")], ["dog", "horse"])
    assert edit.weights.keys() == projections(pipe, ["to_v"]).keys()
    erased, guides, kept = embeddings_to_edit(pipe, [Concept("cat")], ["dog", "horse"], "", "last")
    start = embed(pipe, [""])[0, :1]
    for name, old in projections(pipe, ["to_v"]).items():
        change = edit.weights[name] - old
        assert (erased @ (old + change).T - guides @ old.T).norm() < (erased @ old.T - guides @ old.T).norm()
        assert (start @ change.T).abs().max() < 1e-4  # float32 of numbers near 1
    assert kept is not None
    again = SPEED(threshold=1e-6, ridge=0.01).unlearn(pipe, [Concept("cat")], ["dog", "horse"])
    assert all(torch.equal(edit.weights[name], again.weights[name]) for name in edit.weights)


def test_no_direction_left_is_warned_of(pipe: StableDiffusionPipeline, caplog: pytest.LogCaptureFixture) -> None:
    edit = SPEED(threshold=1e-30).unlearn(pipe, [Concept("cat")], [])
    assert "no direction left to change" in caplog.text
    assert all(torch.equal(edit.weights[name], old) for name, old in projections(pipe, ["to_v"]).items())


@pytest.mark.parametrize("setting", [{"threshold": 0.0}, {"ridge": 0.0}, {"copies": -1}])
def test_settings_that_make_no_sense_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))}="):
        SPEED(**setting)  # type: ignore[arg-type]
