"""ConceptPrune (Chavhan et al., arXiv 2405.19237): prunes neurons that score higher with the concept than without it.

The score of a connection of a second feed-forward linear is |W[i,j]| * ||X[:,j]||. The norm runs over all tokens of all
concept prompts, or of all base prompts. At each of the first steps, a connection is a skilled neuron if its score with
the concept prompts is in the top share of its row and exceeds its score with the base prompts. The method prunes the
neurons that are skilled at any step; for several concepts, it prunes the union.

This follows the paper, except that the prompts are those of FIA, so that both methods see the same prompts. (The
authors' code also scales every token's activations to length one before it takes norms.)
It costs one partial generation for each prompt, as FIA does, and no training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Bool, Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..concepts import Concept
from ..errors import UsageError
from ..finding.denoise import run_first_steps
from ..finding.neurons import share
from ..finding.observe import Observer
from ..masks.mask import NeuronMask
from ..models.layers import MaskableLayer, count_parameters, hash_weights, layer_shapes, maskable_layers
from ..models.pipelines import get_known_denoiser
from ..prompts import prompt_pairs
from ..settings import check_at_least_one

UNION = 2.0  # an alpha above 1 spares nothing


def skilled_neurons(
    weight: Float[Tensor, "outputs inputs"],
    concept_norms: Float[Tensor, " inputs"],
    base_norms: Float[Tensor, " inputs"],
    row_ratio: float,
) -> Bool[Tensor, "outputs inputs"]:
    """Marks the connections of one layer that are skilled neurons at one step.

    Args:
        weight: W.
        concept_norms: ||X[:,j]|| over the tokens of the concept prompts.
        base_norms: ||X[:,j]|| over the tokens of the base prompts.
        row_ratio: the largest share of each row that can be skilled, in [0, 1].
    """
    magnitude = weight.float().abs()
    concept_scores, base_scores = magnitude * concept_norms, magnitude * base_norms
    in_row = torch.zeros_like(concept_scores, dtype=torch.bool)
    in_row.scatter_(1, concept_scores.topk(share(row_ratio, weight.shape[1]), dim=1).indices, True)
    return in_row & (concept_scores > base_scores)


def squared_norms(_weight: Tensor, inputs: Tensor, _outputs: Tensor, _bias: Tensor | None) -> Tensor:
    """Returns ||X[:,j]||^2 of each row of the batch, in float32."""
    return inputs.float().square().sum(dim=-2)


@dataclass(frozen=True)
class ConceptPrune:
    """Skilled-neuron pruning.

    Attributes:
        row_ratio: share of each row of a layer that a concept may claim, in [0, 1].
        first_steps: number of first steps whose skilled neurons are pruned, at most `num_inference_steps`.
        num_inference_steps: number of steps of a whole generation.
        prompts_per_concept: number of different prompts for each concept.
        seeds_per_prompt: number of seeds for each prompt.
        seed: the first seed; the others count up from it.
        guidance_scale: guidance scale of the partial generation.
        batch_size: rows in the denoiser at a time.
    """

    row_ratio: float = 0.02
    first_steps: int = 10
    num_inference_steps: int = 50
    prompts_per_concept: int = 5
    seeds_per_prompt: int = 1
    seed: int = 0
    guidance_scale: float = 7.5
    batch_size: int = 16
    paper: ClassVar[str] = "Chavhan et al., ConceptPrune, arXiv 2405.19237"

    def __post_init__(self) -> None:
        if not 0 <= self.row_ratio <= 1:
            raise UsageError(f"row_ratio={self.row_ratio} is outside [0, 1].")
        check_at_least_one(self, "num_inference_steps", "prompts_per_concept", "seeds_per_prompt", "batch_size")
        if not 1 <= self.first_steps <= self.num_inference_steps:
            raise UsageError(
                f"first_steps={self.first_steps} is outside [1, {self.num_inference_steps}], the range of steps."
            )

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask. The method does not use `keep`."""
        denoiser = get_known_denoiser(pipe)
        layers = maskable_layers(denoiser)
        neurons = {}
        with tqdm(total=len(concepts) * self.first_steps, unit="step") as bar:
            for concept in concepts:
                bar.set_description(f"ConceptPrune: {concept.name}")
                skilled = self._skilled(pipe, denoiser, layers, concept, bar)
                neurons[concept.name] = {name: mask.flatten().nonzero()[:, 0].int() for name, mask in skilled.items()}
        return NeuronMask(
            neurons=neurons,
            shapes=layer_shapes(layers),
            agnostic_ratio=UNION,
            architecture=type(denoiser).__name__,
            denoiser_parameters=count_parameters(denoiser),
            weights_hash=hash_weights(layers),
            provenance=[{"method": self.paper, "concepts": [{"name": name} for name in neurons]}],
        )

    def _skilled(
        self,
        pipe: DiffusionPipeline,
        denoiser: nn.Module,
        layers: dict[str, MaskableLayer],
        concept: Concept,
        bar: tqdm,
    ) -> dict[str, Tensor]:
        """Marks the connections of each layer that are skilled neurons at any step. The results are on the CPU."""
        pairs = prompt_pairs(
            concept,
            prompts_per_concept=self.prompts_per_concept,
            seeds_per_prompt=self.seeds_per_prompt,
            seed=self.seed,
        )
        squares = {name: torch.zeros(2, layer.in_features) for name, layer in layers.items()}
        joined = {name: torch.zeros(layer.weight.shape, dtype=torch.bool) for name, layer in layers.items()}

        def receive(name: str, rows: range, squared: Tensor) -> None:
            for row, value in zip(rows, squared.cpu(), strict=True):
                squares[name][row // len(pairs)] += value

        def end_step() -> None:
            for name, layer in layers.items():
                base_norms, concept_norms = squares[name].sqrt()
                joined[name] |= skilled_neurons(layer.weight.cpu(), concept_norms, base_norms, self.row_ratio)
                squares[name].zero_()
            bar.update()

        with Observer(layers, squared_norms, receive) as observer:
            run_first_steps(
                pipe,
                denoiser,
                [pair.base_prompt for pair in pairs] + [pair.concept_prompt for pair in pairs],
                [pair.seed for pair in pairs] * 2,
                observer,
                first_steps=self.first_steps,
                num_inference_steps=self.num_inference_steps,
                guidance_scale=self.guidance_scale,
                batch_size=self.batch_size,
                on_step=end_step,
            )
        return joined
