"""RECE: its closed form worked by hand, and that what it erases would have brought the concept back."""

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from fia import Concept
from fia.methods import RECE, UCE
from fia.methods.rece import derived_embeddings
from fia.methods.uce import projections


def test_worked_example() -> None:
    # W = I became W' = diag(2, 1). sum W'^T W' = diag(4, 1), its mean diagonal 2.5; with m = 0.4 * 2.5 = 1 the matrix
    # is diag(5, 2), and W'^T W c = (2, 1) for c = (1, 1): c' = (2/5, 1/2).
    derived = derived_embeddings(
        {"k": torch.diag(torch.tensor([2.0, 1.0]))}, {"k": torch.eye(2)}, torch.ones(1, 2), 0.4
    )
    torch.testing.assert_close(derived, torch.tensor([[0.4, 0.5]]), rtol=1e-6, atol=0)  # rounded to float32 once


def test_it_minimises_what_it_should() -> None:
    generator = torch.Generator().manual_seed(0)
    edited, untouched = ({name: torch.randn(4, 6, generator=generator) for name in "kv"} for _ in range(2))
    erased = torch.randn(1, 6, generator=generator)
    ridge = 0.2 * sum(weight.square().sum() for weight in edited.values()) / 6

    def objective(candidate: Tensor) -> float:
        misses = [(candidate @ edited[name].T - erased @ untouched[name].T).square().sum() for name in edited]
        return float(sum(misses) + ridge * candidate.square().sum())

    derived = derived_embeddings(edited, untouched, erased, 0.2)
    best = objective(derived)
    for _ in range(20):
        assert objective(derived + 0.01 * torch.randn(1, 6, generator=generator)) > best


def test_untouched_projections_give_the_concept_itself() -> None:
    weights = {"k": torch.randn(8, 6, generator=torch.Generator().manual_seed(0))}
    erased = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    # The shrinkage takes 1e-9 of it, float32 rounds at 6e-8, and the matrix is well conditioned.
    torch.testing.assert_close(derived_embeddings(weights, weights, erased, 1e-9), erased, rtol=1e-5, atol=1e-6)


def test_what_brings_the_concept_back_is_erased_too(pipe: StableDiffusionPipeline) -> None:
    settings = {"preserve_scale": 0.0, "ridge": 0.01}
    untouched, concepts = projections(pipe), [Concept("cat")]
    erased, guides, _ = UCE(**settings).embeddings(pipe, concepts, [])
    once = UCE(**settings).unlearn(pipe, concepts, []).weights
    again = RECE(**settings, rounds=1).unlearn(pipe, concepts, []).weights
    assert again.keys() == once.keys() == untouched.keys()
    derived = derived_embeddings(once, untouched, erased, 0.1)

    def apart(weights: dict[str, Tensor], embedding: Tensor, others: dict[str, Tensor], wanted: Tensor) -> float:
        return float(sum((embedding @ weights[n].T - wanted @ others[n].T).square().sum() for n in weights))

    # It brings some of the concept back, and is projected as the guide afterwards.
    assert apart(once, derived, untouched, erased) < apart(once, erased, untouched, erased)
    assert apart(again, derived, once, guides) < 0.1 * apart(once, derived, once, guides)


def test_a_round_derives_from_the_one_before_and_edits_it(pipe: StableDiffusionPipeline) -> None:
    concepts, untouched = [Concept("cat")], projections(pipe)
    one, two = (RECE(rounds=rounds).unlearn(pipe, concepts, ["dog"]).weights for rounds in (1, 2))
    erased, guides, kept = RECE().embeddings(pipe, concepts, ["dog"])
    expected = RECE().edit(one, derived_embeddings(one, untouched, erased, RECE().shrinkage), guides, kept)
    assert all(torch.equal(two[name], expected[name]) for name in expected)
    assert any(not torch.equal(two[name], one[name]) for name in one)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds=0; it must be at least 1"):
        RECE(rounds=0)
    with pytest.raises(ValueError, match="shrinkage=0; it must be above 0"):
        RECE(shrinkage=0)
    with pytest.raises(ValueError, match="ridge=0; it must be above 0"):
        RECE(ridge=0)
