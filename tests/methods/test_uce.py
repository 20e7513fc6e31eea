"""UCE: its closed form worked by hand, what it does to the concept and to what is kept, and its edit."""

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from fia import Concept
from fia.methods import UCE
from fia.methods.text_embeddings import embed, tail_embeddings
from fia.methods.uce import edited_projection
from fia.models.layers import cross_attentions


def test_worked_example() -> None:
    # W = I, c = (1, 0) shall become c* = (0, 1), kept is (0, 1), all scales 1.
    # W' = (W c* c^T + W k k^T + W) (c c^T + k k^T + I)^-1 = [[1, 0], [1, 2]] [[1/2, 0], [0, 1/2]].
    one, two = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    edited = edited_projection(torch.eye(2), one, two, two, erase_scale=1, preserve_scale=1, ridge=1)
    assert torch.equal(edited, torch.tensor([[0.5, 0.0], [0.5, 1.0]]))


def test_it_minimises_what_it_should() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, erased, guides, kept = (torch.randn(n, 6, generator=generator) for n in (4, 3, 3, 5))

    def objective(candidate: torch.Tensor) -> float:
        to_guides = (erased @ candidate.T - guides @ weight.T).square().sum()
        as_before = (kept @ candidate.T - kept @ weight.T).square().sum()
        return float(2 * to_guides + 0.5 * as_before + 0.1 * (candidate - weight).square().sum())

    edited = edited_projection(weight, erased, guides, kept, erase_scale=2, preserve_scale=0.5, ridge=0.1)
    best = objective(edited)
    for _ in range(20):
        assert objective(edited + 0.01 * torch.randn(4, 6, generator=generator)) > best
    assert objective(weight) > best


def test_a_large_ridge_changes_nothing() -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    erased, guides = torch.ones(1, 6), torch.zeros(1, 6)
    edited = edited_projection(weight, erased, guides, None, erase_scale=1, preserve_scale=1, ridge=1e12)
    # Computed in float64 and rounded to float32, whose rounding is 6e-8.
    torch.testing.assert_close(edited, weight, rtol=1e-6, atol=1e-9)


def test_tails_start_at_the_last_token_and_are_equally_long(pipe: StableDiffusionPipeline) -> None:
    # The tokenizer has a token for each letter: "cat" is at 1 to 3, so its tail starts at 3; the empty text's at 0.
    long, empty = tail_embeddings(pipe, ["cat", ""])
    whole = embed(pipe, ["cat", ""])
    assert torch.equal(long, whole[0, 3:])
    assert torch.equal(empty, whole[1, : len(long)])


def test_positions_say_which_embeddings_are_taken(pipe: StableDiffusionPipeline) -> None:
    cat, empty = tail_embeddings(pipe, ["cat", ""])
    name, attention = next(iter(cross_attentions(pipe.unet).items()))
    scales = {"erase_scale": 1.0, "preserve_scale": 0.1, "ridge": 0.1}
    whole, last = embed(pipe, ["dog"])[0], embed(pipe, ["dog"])[0, 3:4]
    for positions, rows, kept in (("last", slice(1), last), ("tail", slice(None), whole)):
        expected = edited_projection(attention.to_v.weight.detach(), cat[rows], empty[rows], kept, **scales)
        edit = UCE(positions=positions, **scales).unlearn(pipe, [Concept("cat")], ["dog"])
        # The texts are embedded in batches of other sizes, which may round the last bits otherwise.
        torch.testing.assert_close(edit.weights[f"{name}.to_v.weight"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("any_types")
def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="ridge=0; it must be above 0"):
        UCE(ridge=0)
    with pytest.raises(ValueError, match=r"preserve_scale=-1.0 is outside \[0, inf\)"):
        UCE(preserve_scale=-1.0)
    with pytest.raises(ValueError, match="positions='first' is not one of last, tail"):
        UCE(positions="first")  # type: ignore[arg-type]


@pytest.mark.parametrize("positions", ["last", "tail"])
@pytest.mark.parametrize("family", ["pipe", "xl_pipe"])
def test_the_concept_is_projected_as_the_guide_and_the_rest_as_before(
    family: str, positions: str, request: pytest.FixtureRequest
) -> None:
    pipe: StableDiffusionPipeline | StableDiffusionXLPipeline = request.getfixturevalue(family)
    settings = {"positions": positions, "ridge": 1e-6}
    edit = UCE(**settings, preserve_scale=1.0).unlearn(pipe, [Concept("cat")], ["dog"])
    attentions = cross_attentions(pipe.unet)
    assert edit.weights.keys() == {f"{name}.{part}.weight" for name in attentions for part in ("to_k", "to_v")}
    cat, empty = tail_embeddings(pipe, ["cat", ""])
    dog = embed(pipe, ["dog"])[0]
    if positions == "last":
        cat, empty, dog = cat[:1], empty[:1], dog[3:4]  # a token for each letter, after the start
    name, attention = next(iter(attentions.items()))
    old, new = attention.to_k.weight.detach(), edit.weights[f"{name}.to_k.weight"]
    far, near = (cat @ (new - old).T).norm(), (cat @ new.T - empty @ old.T).norm()
    assert near < 0.5 * far
    without = UCE(**settings).unlearn(pipe, [Concept("cat")], []).weights[f"{name}.to_k.weight"]
    assert (dog @ (new - old).T).norm() < 0.5 * (dog @ (without - old).T).norm()


def test_the_pipeline_is_left_as_it_is(pipe: StableDiffusionPipeline) -> None:
    before = {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    UCE().unlearn(pipe, [Concept("cat")], [])
    assert all(torch.equal(value, before[name]) for name, value in pipe.unet.state_dict().items())
