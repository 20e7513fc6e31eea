"""Ring-A-Bell (Tsai et al., arXiv 2310.10012): a search for a prompt whose embedding lies where the concept's does.

The concept's direction is v, the mean difference of the embeddings of prompts with and without it. The target is the
embedding of the bare prompt plus 3 v. A genetic search looks for the tokens whose embedding is nearest to it, without
words of the concept's name. It needs only the text encoder, and never draws.

The paper searches once for each prompt. We search once for each concept, and draw its best prompts in turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..prompts import prompt_pairs
from ..settings import check_at_least_one
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs
from .targets import banned_names, bare_prompt
from .tokens import Ids, allowed_words, encode, most_words, sequence, words_of

MOST_PAIRS = 10
BATCH = 256  # prompts in the text encoder at a time

Population = Int[Tensor, "people genes"]


def embeddings(pipe: StableDiffusionPipeline, prompts: Ids) -> Float[Tensor, "n tokens width"]:
    """Returns what the denoiser reads for each prompt."""
    with torch.no_grad():
        return torch.cat([encode(pipe, part)[0] for part in prompts.split(BATCH)])


def next_generation(
    people: Population,
    errors: Float[Tensor, " people"],
    words: Int[Tensor, " words"],
    *,
    crossover: float,
    mutation: float,
    generator: torch.Generator,
) -> Population:
    """Returns the next generation: the better half stays, and its children take the places of the others.

    Args:
        people: the tokens of each prompt.
        errors: the error of each prompt.
        words: the tokens that may be used.
        crossover: probability that a child has two parents, which it takes before and after a random place.
        mutation: probability that one token of a child becomes a random one.
        generator: of all random choices.
    """
    number, genes = people.shape
    parents = people[errors.argsort()[: number - number // 2]]
    one, two = (parents[torch.randint(len(parents), (number // 2,), generator=generator)] for _ in range(2))
    place = torch.randint(1, genes, (number // 2, 1), generator=generator) if genes > 1 else torch.ones(number // 2, 1)
    is_crossed = torch.rand(number // 2, 1, generator=generator) < crossover
    children = torch.where((torch.arange(genes) >= place) & is_crossed, two, one)
    is_mutant = torch.rand(number // 2, 1, generator=generator) < mutation
    mutated = torch.arange(genes) == torch.randint(genes, (number // 2, 1), generator=generator)
    random = words[torch.randint(len(words), children.shape, generator=generator)]
    return torch.cat([parents, torch.where(is_mutant & mutated, random, children)])


@dataclass(frozen=True)
class RingABell(Attack):
    """A genetic search for a prompt without the concept's name."""

    title: ClassVar[str] = "Ring-A-Bell"
    paper: ClassVar[str] = "Tsai et al., arXiv 2310.10012"
    group: ClassVar[Group] = "text"
    needs: ClassVar[Needs] = "text encoder"

    tokens: int = 16
    """tokens of a prompt"""
    population: int = 200
    """prompts of a generation, at least 2"""
    generations: int = 3000
    """generations of the search"""
    strength: float = 3.0
    """how far the target lies along the concept's direction"""
    crossover: float = 0.5
    """probability that a prompt has two parents"""
    mutation: float = 0.25
    """probability that a token of a prompt changes"""
    prompts: int = 4
    """the best prompts of the last generation, which are drawn in turn"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "tokens", "generations", "prompts")
        if self.population < 2:
            raise UsageError(f"population={self.population} of Ring-A-Bell; it must be at least 2.")
        for name in ("crossover", "mutation"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)} of Ring-A-Bell is outside [0, 1].")

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError if the text encoder reads fewer tokens."""
        if self.tokens > most_words(pipe):
            raise UsageError(f"tokens={self.tokens} of Ring-A-Bell; the model reads at most {most_words(pipe)}.")

    def target(self, case: Case) -> Float[Tensor, "1 tokens width"]:
        """Returns the embedding of the bare prompt plus `strength` times the concept's direction."""
        pairs = prompt_pairs(
            case.concept,
            prompts_per_concept=len(case.concept.prompts) or MOST_PAIRS,
            seeds_per_prompt=1,
            seed=0,
        )
        pipe, bare = case.victim, bare_prompt(case.concept)
        texts = [bare, *(pair.concept_prompt for pair in pairs), *(pair.base_prompt for pair in pairs)]
        found = embeddings(pipe, torch.stack([sequence(pipe, words_of(pipe, text)) for text in texts]))
        with_it, without = found[1:].chunk(2)
        return found[:1] + self.strength * (with_it - without).mean(0, keepdim=True)

    def learn(self, case: Case, variant: str) -> Learned:
        """Returns the tokens of the best prompts, best first."""
        target, generator = self.target(case), torch.Generator().manual_seed(case.seed)
        words = allowed_words(case.victim, banned_names(case.concept))
        people = words[torch.randint(len(words), (self.population, self.tokens), generator=generator)]
        options = {"crossover": self.crossover, "mutation": self.mutation}
        errors = self.errors(case, people, target)
        for _ in tqdm(range(self.generations), "Ring-A-Bell", unit="generation", delay=2, leave=False):
            people = next_generation(people, errors, words, **options, generator=generator)
            errors = self.errors(case, people, target)
        best = people[errors.argsort()].tolist()
        different = list(dict.fromkeys(map(tuple, best)))[: self.prompts]
        return {"words": torch.tensor(different)}

    def errors(self, case: Case, people: Population, target: Tensor) -> Float[Tensor, " people"]:
        """Returns the squared distance of each prompt's embedding from the target, on the CPU."""
        ids = torch.stack([sequence(case.victim, words) for words in people.tolist()])
        return (embeddings(case.victim, ids) - target).square().sum(dim=(1, 2)).cpu()

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws the prompts that were found, as text."""
        prompts = found_prompts(case.victim, learned)
        other = [Request(prompts[one.seed % len(prompts)], one.seed, one.guidance_scale) for one in requests]
        return draw_plain(case.victim, other, case.drawing)

    def notes(self, case: Case, learned: Learned, variant: str) -> Mapping[str, float | str]:
        """Returns the best prompt."""
        return {"prompt": found_prompts(case.victim, learned)[0]}


def found_prompts(pipe: StableDiffusionPipeline, learned: Learned) -> list[str]:
    """Returns learned tokens as texts."""
    texts: list[str] = pipe.tokenizer.batch_decode(learned["words"].tolist())
    return texts
