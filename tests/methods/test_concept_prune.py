"""ConceptPrune: skilled neurons worked by hand, and the mask they make."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import Concept
from fia.methods import ConceptPrune
from fia.methods.concept_prune import skilled_neurons, squared_norms
from fia.models.layers import maskable_layers


def test_worked_example() -> None:
    # Scores under the concept: row 0 is 4, 3, 2; row 1 is 0, 6, 1. The best of each row: (0, 0) and (1, 1).
    # Under the base prompts (0, 0) scores 5, more than 4; (1, 1) scores 4, less than 6. So only (1, 1) is skilled.
    weight = torch.tensor([[-1.0, 1.0, 2.0], [0.0, 2.0, -1.0]])
    skilled = skilled_neurons(weight, torch.tensor([4.0, 3.0, 1.0]), torch.tensor([5.0, 2.0, 0.0]), row_ratio=1 / 3)
    assert skilled.tolist() == [[False, False, False], [False, True, False]]


@pytest.mark.parametrize(("row_ratio", "expected"), [(0.0, 0), (1.0, 5)])
def test_the_ends_of_the_ratio(row_ratio: float, expected: int) -> None:
    # With all of each row, what is left is every connection whose input is louder and whose weight is not zero.
    weight = torch.tensor([[1.0, -1.0, 2.0], [3.0, 0.0, 5.0]])
    assert skilled_neurons(weight, torch.ones(3), torch.zeros(3), row_ratio).sum() == expected


def test_an_input_that_is_as_loud_without_the_concept_is_not_skilled() -> None:
    weight = torch.tensor([[1.0, 1.0]])
    assert not skilled_neurons(weight, torch.ones(2), torch.ones(2), row_ratio=1.0).any()


def test_norms_are_taken_over_tokens_in_float32() -> None:
    inputs = torch.tensor([[3.0, 300.0], [4.0, 0.0]], dtype=torch.float16)  # 300^2 overflows float16
    assert squared_norms(torch.empty(0), inputs, torch.empty(0), None).tolist() == [25.0, 90_000.0]


def test_the_mask_holds_the_steps_union_of_each_concept(pipe: StableDiffusionPipeline) -> None:
    concepts = [Concept("church"), Concept("golf ball")]
    one_step = ConceptPrune(first_steps=1, num_inference_steps=4, prompts_per_concept=2).unlearn(pipe, concepts, [])
    more = ConceptPrune(first_steps=3, num_inference_steps=4, prompts_per_concept=2).unlearn(pipe, concepts, [])
    assert one_step.concepts == more.concepts == ("church", "golf ball")
    for concept in more.concepts:
        for name in maskable_layers(pipe.unet):
            assert set(one_step.neurons[concept][name].tolist()) <= set(more.neurons[concept][name].tolist())
    assert one_step.number_pruned < more.number_pruned
    both = {name: set() for name in more.shapes}
    for layers in more.neurons.values():
        for name, indices in layers.items():
            both[name] |= set(indices.tolist())
    assert {name: set(indices.tolist()) for name, indices in more.pruned.items()} == both  # nothing is spared


def test_the_first_step_is_the_formula_on_what_the_layer_saw(pipe: StableDiffusionPipeline) -> None:
    seen: list[torch.Tensor] = []
    name, layer = next(iter(maskable_layers(pipe.unet).items()))
    handle = layer.module.register_forward_hook(lambda _, args, __: seen.append(args[0].detach()))
    method = ConceptPrune(row_ratio=0.1, first_steps=1, num_inference_steps=4, prompts_per_concept=1)
    mask = method.unlearn(pipe, [Concept("church")], [])
    handle.remove()
    base, concept = seen[-1]  # the conditional half: the base prompt's row, then the concept's
    expected = skilled_neurons(layer.weight.detach(), concept.norm(dim=0), base.norm(dim=0), 0.1)
    assert mask.neurons["church"][name].tolist() == expected.flatten().nonzero()[:, 0].tolist()
