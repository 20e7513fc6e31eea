"""What a mask needs to put new values into its concepts' neurons, and the joint solution for all of them.

For the concepts that are forgotten together, in one layer (section 9 of docs/method.md):

    H = mean_c A_c + mu * A_r + lambda * a * I          (10; a is the mean of the diagonal of mean_c A_c)
    R = mean_c s_c R_c                                  (11; s_c is the strength of concept c)
    D[i, S_i] = R[i, S_i] inv(H[S_i, S_i])              (12)

A_c is the moment of the concept's inputs, and A_r that of what is retained: the mean over the base prompts and a list
of words. If there are names to keep, it is half of that, plus half of the mean over them. The list holds no word that
is near a forgotten concept. The mask keeps the sum over the whole list, and the moments of the words that are near one
of its concepts, so the list of any combination of masks is known without the model. If most words are near, what is
left of the sum would be little but rounding. Then the mask keeps the other words alone, and a combination that holds
such a mask retains those of them that are near none of its concepts.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from .low_rank import Moment, Response
from .solve import Quadratic, combine, response_of, solve_rows, solve_whole

SIGNS = {"base": 1, "words": 1, "near": -1, "word": 1}  # a word near a concept is taken out of the list
NAMED = "named "  # keys of names to keep start with this
NEAR, WORD = "near ", "word "  # the same of words near a concept, and of words that are retained without the list
Block = Literal["base", "named", "words", "near", "word"]


@dataclass(frozen=True, eq=False)
class Source:
    """Something that a mask retains: its moments in every layer.

    Attributes:
        block: "base" for base prompts, "named" for a name to keep, "words" for the whole list of words, "near" for one
            word of the list that is near a concept, or "word" for one that is retained without the list.
        moments: the moment of each layer's inputs, by layer.
        number: number of words in the list; 1 for all else.
    """

    block: Block
    moments: dict[str, Moment]
    number: int = 1


@dataclass(frozen=True)
class Effects:
    """What a solution does to the outputs of its layers, as the statistics tell, without an image.

    Attributes:
        removed: for each concept, how much of its effect is removed, as a share of what its layers could remove if
            every connection were free and nothing were retained. Below 0 if the solution adds to the effect. With a
            target beyond the base prompt's output, the effect is as many times larger, and the share smaller.
        moved: how far the outputs of what is retained move, as a share of how far those of the concepts move (mean
            squares).
    """

    removed: dict[str, float]
    moved: float


@dataclass(frozen=True, eq=False)
class Rewriting:
    """The moments and responses of a mask's concepts, and what is retained.

    Attributes:
        moments: A_c of each concept and layer.
        responses: R_c of each concept and layer.
        sources: what is retained, by key. Equal keys mean equal sources.
        near: for each concept, the keys of the words near it. If they are not among the sources, other words are
            retained without the list.
        retain_weight: mu > 0.
        ridge: lambda > 0.
    """

    moments: dict[str, dict[str, Moment]]
    responses: dict[str, dict[str, Response]]
    sources: dict[str, Source]
    near: dict[str, tuple[str, ...]]
    retain_weight: float
    ridge: float

    @property
    def kept_names(self) -> list[str]:
        """The names that were given to be kept, except those that are forgotten."""
        named = [key.removeprefix(NAMED) for key, source in self.sources.items() if source.block == "named"]
        return [name for name in named if name not in self.moments]

    @property
    def number_of_words(self) -> int:
        """Number of words of the list that are retained."""
        return sum(SIGNS[source.block] * source.number for source in self._general if source.block != "base")

    @property
    def _general(self) -> list[Source]:
        """What is retained without being named."""
        near = {key for keys in self.near.values() for key in keys}
        has_list = any(source.block == "words" for source in self.sources.values()) and near <= self.sources.keys()
        used, others = ("words", "near") if has_list else ("word",), {WORD + key.removeprefix(NEAR) for key in near}
        return [
            source
            for key, source in self.sources.items()
            if source.block == "base" or (source.block in used and key not in others)
        ]

    def only(self, names: Collection[str]) -> "Rewriting":
        """Returns the same for some of the concepts."""
        near = {name: keys for name, keys in self.near.items() if name in names}
        wanted = {key for keys in near.values() for key in keys}
        return replace(
            self,
            moments={name: own for name, own in self.moments.items() if name in names},
            responses={name: own for name, own in self.responses.items() if name in names},
            sources={key: source for key, source in self.sources.items() if source.block != "near" or key in wanted},
            near=near,
        )

    def __or__(self, other: "Rewriting") -> "Rewriting":
        """Returns the same for the concepts of both. What one of them forgets, the other does not retain."""
        return replace(
            self,
            moments=self.moments | other.moments,
            responses=self.responses | other.responses,
            sources=self.sources | other.sources,
            near=self.near | other.near,
        )

    def retained(self, layer: str) -> list[tuple[float, Moment]]:
        """Returns the moments of a layer whose weighted sum is A_r, with their weights, some of them negative."""
        general = self._general
        named = [self.sources[NAMED + name] for name in self.kept_names]
        number = sum(SIGNS[source.block] * source.number for source in general)
        of_general, of_named = (0.5, 0.5) if named and number > 0 else (1.0, 1.0)
        weighted = [
            (of_general * SIGNS[source.block] * source.number / number, source) for source in general if number > 0
        ]
        weighted += [(of_named / len(named), source) for source in named]
        return [(weight, source.moments[layer]) for weight, source in weighted]

    def quadratic(self, layer: str) -> Quadratic:
        """Returns H of a layer (formula 10)."""
        number = len(self.moments)
        concepts = [(1 / number, own[layer]) for own in self.moments.values()]
        ridge = self.ridge * sum(weight * moment.mean_square for weight, moment in concepts)
        kept = [(self.retain_weight * weight, moment) for weight, moment in self.retained(layer)]
        return combine(concepts + kept, ridge or 1.0)  # a layer without input has nothing to solve

    def response(self, layer: str, strengths: Mapping[str, float]) -> Tensor:
        """Returns R of a layer (formula 11), float64; see `solve`."""
        number = len(self.responses)
        return response_of([(strengths.get(name, 1.0) / number, own[layer]) for name, own in self.responses.items()])

    def solve(self, layer: str, indices: Int[Tensor, " selected"], strengths: Mapping[str, float]) -> Tensor:
        """Returns D at the selected connections of a layer, float32, in their order.

        Args:
            layer: name of the layer.
            indices: flat indices of the selected connections, ascending.
            strengths: of the concepts that have one below 1.

        Raises:
            ValueError: if it cannot be solved.
        """
        if len(indices) == 0:
            return torch.empty(0)
        return solve_rows(self.quadratic(layer), self.response(layer, strengths), indices, layer).float()

    def effects(self, indices: Mapping[str, Tensor], added: Mapping[str, Tensor]) -> "Effects":
        """Returns what a solution does, summed over all layers.

        Args:
            indices: flat indices of the selected connections, by layer.
            added: D at these connections, by layer.
        """
        removed, possible = dict.fromkeys(self.moments, 0.0), dict.fromkeys(self.moments, 0.0)
        of_concepts = of_retained = 0.0
        for layer, solved in added.items():
            any_response = next(iter(self.responses.values()))[layer]
            change = torch.zeros(len(any_response.left), len(any_response.right), dtype=torch.float64)
            change.view(-1)[indices[layer].long()] = solved.double()
            for name, moments in self.moments.items():
                moment, response = combine([(1, moments[layer])], 0.0), self.responses[name][layer].dense()
                ridge = self.ridge * moments[layer].mean_square or 1.0
                best, moves = solve_whole(replace(moment, shift=moment.shift + ridge), response), moment.size(change)
                removed[name] += 2 * float((change * response).sum()) - moves
                possible[name] += 2 * float((best * response).sum()) - moment.size(best)
                of_concepts += moves / len(self.moments)
            of_retained += combine(self.retained(layer), 0.0).size(change) if self.sources else 0.0
        return Effects(
            {name: removed[name] / possible[name] if possible[name] > 0 else 0.0 for name in self.moments},
            of_retained / of_concepts if of_concepts > 0 else 0.0,
        )

    def fingerprint(self, neurons: str, strengths: Mapping[str, float]) -> str:
        """Returns a hash of all that decides the solution, whatever the order of concepts and sources.

        Args:
            neurons: hash of the selected connections.
            strengths: of the concepts that have one below 1.
        """
        names, keys = sorted(self.moments), sorted(self.sources)
        used = [(name, strengths.get(name, 1.0)) for name in names]
        sources = [(key, self.sources[key].block, self.sources[key].number) for key in keys]
        digest = hashlib.sha256(repr([neurons, used, self.retain_weight, self.ridge, sources]).encode())
        for own in (*(self.moments[name] for name in names), *(self.sources[key].moments for key in keys)):
            for name, moment in own.items():
                digest.update(f"\0{name} {moment.rest!r}".encode())
                digest.update(moment.vectors.numpy().tobytes() + moment.values.numpy().tobytes())
        for name in names:
            for response in self.responses[name].values():
                for part in (response.left, response.values, response.right):
                    digest.update(part.numpy().tobytes())
        return digest.hexdigest()
