"""OCE: no rotation does better, lengths and angles stay, and its parts pull where they should."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import Concept
from fia.methods import OCE
from fia.methods.oce import ordinary_moment, rotated_projection
from fia.methods.text_embeddings import embed, embeddings_to_edit
from fia.methods.uce import projections
from fia.prompts import OBJECTS, PERSONS, PLACES

SCALES = {"erase_scale": 5.0, "preserve_scale": 0.5, "ordinary_scale": 0.3, "ridge": 0.2}


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(4))
def test_no_other_rotation_does_better(seed: int) -> None:
    weight, erased, guides, kept = numbers(4, 6, seed=seed), numbers(2, 6), numbers(1, 6, seed=1), numbers(3, 6, seed=2)
    moment = numbers(9, 6, seed=3).T @ numbers(9, 6, seed=3) / 9
    new = rotated_projection(weight, erased, guides, kept, moment, **SCALES)
    rotation = new @ torch.linalg.pinv(weight)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-9)
    assert torch.linalg.det(rotation) == pytest.approx(1)

    def projector(rows: torch.Tensor) -> torch.Tensor:
        values = weight @ rows.T
        return values @ torch.linalg.pinv(values)

    target = -5 * projector(erased) @ (torch.eye(4) - projector(guides)) + 0.2 * weight @ weight.T
    target += 0.3 * weight @ moment @ weight.T + 0.5 * sum(torch.outer(weight @ k, weight @ k) for k in kept)
    best = (rotation * target).sum()
    for other in range(200):
        turn = torch.matrix_exp(0.3 * (numbers(4, 4, seed=10 + other) - numbers(4, 4, seed=10 + other).T))
        assert ((turn @ rotation) * target).sum() < best


def test_without_erasing_nothing_turns() -> None:
    weight, rows = numbers(4, 6), numbers(2, 6, seed=1)
    new = rotated_projection(weight, rows, rows[:1], None, torch.eye(6), **SCALES | {"erase_scale": 0.0})
    torch.testing.assert_close(new, weight, rtol=0, atol=1e-9)


def test_the_ordinary_moment_is_the_mean_over_the_tokens_of_base_prompts(pipe: StableDiffusionPipeline) -> None:
    texts = [f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in (*PLACES, *OBJECTS)]
    texts += [f"a photo of a {word}" for word in PERSONS]
    squares, number = torch.zeros(1, dtype=torch.float64), 0
    for text, embedding in zip(texts, embed(pipe, texts).double(), strict=True):
        for row in embedding[: len(pipe.tokenizer(text).input_ids)]:
            squares, number = squares + torch.outer(row, row), number + 1
    # Batches in another order of the same texts.
    torch.testing.assert_close(ordinary_moment(pipe), squares / number, rtol=1e-4, atol=1e-6)


def test_a_pipeline_keeps_its_lengths_and_turns_the_concept_away(pipe: StableDiffusionPipeline) -> None:
    concepts = [Concept("cat")]
    edit = OCE(erase_scale=1e4).unlearn(pipe, concepts, ["dog"])
    assert edit.weights.keys() == projections(pipe, ["to_v"]).keys()
    erased, _, _ = embeddings_to_edit(pipe, concepts, [], "", "last")
    for name, old in projections(pipe, ["to_v"]).items():
        new = edit.weights[name]
        torch.testing.assert_close(new.T @ new, old.T @ old, rtol=1e-4, atol=1e-5)  # float32
        before, after = erased @ old.T, erased @ new.T
        assert torch.cosine_similarity(before, after).item() < 0.5


def test_settings_that_make_no_sense_are_refused() -> None:
    for name in ("erase_scale", "preserve_scale", "ordinary_scale", "ridge"):
        with pytest.raises(ValueError, match=rf"{name}=-1.0 is outside \[0, inf\)"):
            OCE(**{name: -1.0})
