"""Double Projections: the paper's formula for one concept, the least-squares problem for several, what cannot move."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import Concept
from fia.methods import DoubleProjections
from fia.methods.double_projections import double_projection, span
from fia.methods.text_embeddings import embeddings_to_edit
from fia.methods.uce import projections


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_one_concept_is_the_formula_of_the_paper() -> None:
    erased, proxies, kept = numbers(1, 7), numbers(1, 7, seed=1), numbers(3, 7, seed=2)
    left, _, _ = torch.linalg.svd(kept.T)
    basis = left[:, 3:]  # of the left null space
    x = basis.T @ erased[0]
    expected = torch.outer((proxies - erased)[0], x) / x.square().sum() @ basis.T
    torch.testing.assert_close(double_projection(erased, proxies, kept), expected, rtol=1e-9, atol=1e-12)


def test_several_concepts_become_their_proxies_and_nothing_kept_moves() -> None:
    erased, proxies, kept = numbers(3, 9), numbers(3, 9, seed=1), numbers(4, 9, seed=2)
    change = double_projection(erased, proxies, kept)
    torch.testing.assert_close(erased + erased @ change.T, proxies, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(kept @ change.T, torch.zeros(4, 9, dtype=torch.float64), rtol=0, atol=1e-9)
    # The smallest change of all that do this: it has no part outside the span of kept and erased.
    outside = torch.linalg.svd(torch.cat([erased, kept]).T)[0][:, 7:]
    assert (change @ outside).abs().max() < 1e-9


def test_a_low_rank_protects_only_the_leading_directions() -> None:
    kept = torch.diag(torch.tensor([5.0, 3.0, 1.0, 0.5, 0.0])).double()[:4]
    erased, proxies = numbers(1, 5), numbers(1, 5, seed=1)
    change = double_projection(erased, proxies, kept, rank=2)
    assert (kept[:2] @ change.T).abs().max() < 1e-12
    assert (kept[2:] @ change.T).abs().min() > 1e-3
    assert span(kept).shape == (5, 4)


@pytest.mark.parametrize("safe", ["kept", "guide"])
def test_a_pipeline_keeps_what_it_keeps(pipe: StableDiffusionPipeline, safe: str) -> None:
    concepts, keep = [Concept("cat")], ["dog", "horse"]
    edit = DoubleProjections(safe=safe).unlearn(pipe, concepts, keep)  # type: ignore[arg-type]
    untouched = projections(pipe)
    assert edit.weights.keys() == untouched.keys()
    erased, guides, kept = embeddings_to_edit(pipe, concepts, keep, "", "last")
    assert kept is not None
    safe_rows = torch.cat([guides, kept]).double()
    proxy = erased.double() @ torch.linalg.pinv(safe_rows) @ safe_rows if safe == "kept" else guides.double()
    for name, old in untouched.items():
        # float32, and numbers near 1 in sums of 32
        torch.testing.assert_close(kept @ edit.weights[name].T, kept @ old.T, rtol=0, atol=1e-4)
        torch.testing.assert_close(erased @ edit.weights[name].T, proxy.float() @ old.T, rtol=0, atol=1e-3)


def test_a_concept_within_what_is_kept_is_warned_of(
    pipe: StableDiffusionPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    edit = DoubleProjections().unlearn(pipe, [Concept("cat")], ["cat"])
    assert "DP changes nothing" in caplog.text
    assert all(torch.equal(edit.weights[name], old) for name, old in projections(pipe).items())


@pytest.mark.usefixtures("any_types")
def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="rank=0; it must be at least 1"):
        DoubleProjections(rank=0)
    with pytest.raises(ValueError, match="safe='all' is not one of kept, guide"):
        DoubleProjections(safe="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positions='first' is not one of last, tail"):
        DoubleProjections(positions="first")  # type: ignore[arg-type]
