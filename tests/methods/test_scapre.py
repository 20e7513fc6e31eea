"""ScaPre against its formulas row by row in loops, and what it does to a pipeline."""

import math

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import Concept
from fia.methods import ScaPre
from fia.methods.scapre import aligned, informax, mean_entropy, solved_rows
from fia.methods.text_embeddings import embeddings_to_edit
from fia.methods.uce import projections


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_decoupler_is_mutual_information() -> None:
    weight, concept, empty = numbers(6, 8), numbers(5, 8, seed=1) + 0.5, numbers(5, 8, seed=2)
    information = []
    for row in weight:
        outputs = [float(row @ sample) for sample in (*concept, *empty)]
        middle = sorted(outputs)[4]
        found = 0.0
        for is_high in (True, False):
            for is_concept in (True, False):
                own = sum((value > middle) == is_high and (i < 5) == is_concept for i, value in enumerate(outputs))
                of_side = sum((value > middle) == is_high for value in outputs)
                if own:
                    found += own / 10 * math.log(own / 10 / (of_side / 10 * 0.5))
        information.append(found)
    mean = sum(information) / 6
    std = math.sqrt(sum((value - mean) ** 2 for value in information) / 5)
    expected = [1 / (1 + math.exp(-(value - mean) / std / 0.7)) ** 3 for value in information]
    # The method adds 1e-8 to counts and deviations.
    torch.testing.assert_close(
        informax(weight, concept, empty, 3.0), torch.tensor(expected).double(), rtol=1e-5, atol=0
    )


def test_the_entropy_counts_twenty_bins() -> None:
    weight, copies = numbers(4, 5), numbers(30, 5, seed=1)
    entropies = []
    for row in weight:
        outputs = [float(row @ copy) for copy in copies]
        least, largest = min(outputs), max(outputs)
        bins = [min(19, int(20 * (value - least) / (largest - least + 1e-8))) for value in outputs]
        shares = [bins.count(i) / 30 for i in range(20)]
        entropies.append(-sum(share * math.log(share) for share in shares if share) / math.log(20))
    assert mean_entropy(weight, copies) == pytest.approx(sum(entropies) / 4, abs=1e-6)


def test_every_row_solves_its_own_system() -> None:
    weight = numbers(4, 9)
    tails = [(numbers(3, 9, seed=i), numbers(3, 9, seed=10 + i)) for i in (1, 2)]
    masks, u, a, ridge = torch.rand(4, 2, generator=torch.Generator().manual_seed(0)).double(), 0.4, 2.0, 0.5
    concepts = torch.stack([own[0] for own, _ in tails], dim=1)
    left, values, _ = torch.linalg.svd(concepts, full_matrices=False)
    gates = [1 / (1 + math.exp(-(value - min(values)))) for value in values]  # torch's median of two is the lower one
    shared = (ridge + u) * torch.eye(9, dtype=torch.float64) + concepts @ concepts.T
    shared += sum(u * (1 - gate) * torch.outer(own, own) for gate, own in zip(gates, left.T, strict=True))
    shared += sum(a * torch.outer(row, row) for own, _ in tails for row in own)
    onto = concepts @ torch.linalg.inv(concepts.T @ concepts) @ concepts.T
    found = solved_rows(weight, tails, masks, u, erase_scale=a, ridge=ridge)
    for i, row in enumerate(weight):
        wanted = (ridge + u) * row
        for (own, guide), mask in zip(tails, masks[i], strict=True):
            wanted = wanted + a * mask * sum((row @ g) * c for c, g in zip(own, guide, strict=True))
        expected = torch.linalg.solve(shared + a * max(masks[i]) * onto, wanted)
        torch.testing.assert_close(found[i], expected, rtol=1e-9, atol=1e-9)


def test_rows_are_drawn_towards_the_old_ones() -> None:
    rows, old, u, ridge = numbers(3, 4), numbers(3, 4, seed=1), 0.4, 0.5
    found = aligned(rows, old, u, ridge, rounds=2)
    for row, before, after in zip(rows, old, found, strict=True):
        now = row
        for _ in range(2):
            cosine = max(0.0, float(now @ before / now.norm() / before.norm()))
            length = ((ridge + u) * row.norm() + u * cosine * before.norm()) / (ridge + 2 * u)
            towards = (ridge + u) * row + u * cosine * before
            now = length * towards / towards.norm()
        torch.testing.assert_close(after, now, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(aligned(old, old, u, ridge, 1), old, rtol=1e-9, atol=1e-12)


def test_a_pipeline_projects_the_concept_more_weakly(pipe: StableDiffusionPipeline) -> None:
    method, concepts = ScaPre(power=1.0, erase_scale=50.0), [Concept("cat"), Concept("dog")]
    edit = method.unlearn(pipe, concepts, ["horse"])
    untouched = projections(pipe)
    assert edit.weights.keys() == untouched.keys()
    again = method.unlearn(pipe, concepts, [])
    assert all(torch.equal(edit.weights[name], again.weights[name]) for name in untouched)  # `keep` plays no part
    erased, _, _ = embeddings_to_edit(pipe, concepts, [], "", "last")
    for name, old in untouched.items():
        assert (erased @ edit.weights[name].T).norm() < 0.7 * (erased @ old.T).norm()


@pytest.mark.parametrize("setting", [{"erase_scale": 0.0}, {"ridge": 0.0}, {"power": 0.0}, {"rounds": 0}])
def test_settings_that_make_no_sense_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))}=0"):
        ScaPre(**setting)  # type: ignore[arg-type]
