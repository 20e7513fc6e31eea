"""MMA-Diffusion's attack on the text (Yang et al., arXiv 2311.17516): a search for a prompt with the same embedding.

The embedding of the whole prompt should point where the concept's prompt does. Each step takes the gradient of the loss
1 - cos with respect to the choice of every token, and from it the tokens that promise most at each place. Of many
prompts that differ in one of these, the best one stays. Words of the concept's name are banned. It needs only the text
encoder, and never draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..settings import check_at_least_one
from .draw import draw_plain
from .interface import Attack, Case, Group, Learned, Needs
from .ring_a_bell import found_prompts
from .targets import banned_names, bare_prompt
from .tokens import allowed_words, encode, most_words, sequence, token_table, words_of


def loss_of(
    pipe: StableDiffusionPipeline,
    ids: Int[Tensor, "n tokens"],
    target: Float[Tensor, "1 width"],
    embeddings: Float[Tensor, "n tokens width"] | None = None,
) -> Float[Tensor, " n"]:
    """Returns 1 - cos of each prompt's embedding and the target."""
    return 1 - F.cosine_similarity(encode(pipe, ids, embeddings)[1], target)


def promising(
    pipe: StableDiffusionPipeline,
    found: Int[Tensor, " genes"],
    target: Float[Tensor, "1 width"],
    words: Int[Tensor, " words"],
    number: int,
) -> Int[Tensor, "genes number"]:
    """Returns the tokens that promise the lowest loss at each place, by the gradient of the choice of the token."""
    table, ids = token_table(pipe), sequence(pipe, found.tolist())
    with torch.enable_grad():
        embeddings = table[ids.to(table.device)].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of(pipe, ids[None], target, embeddings[None]).sum(), embeddings)
    slopes = gradient[1 : 1 + len(found)] @ table[words.to(table.device)].T
    best: Tensor = slopes.topk(min(number, len(words)), dim=1, largest=False).indices.cpu()
    return words[best]


@dataclass(frozen=True)
class MMA(Attack):
    """A search by gradients of the text encoder for a prompt without the concept's name."""

    title: ClassVar[str] = "MMA-Diffusion, text"
    paper: ClassVar[str] = "Yang et al., arXiv 2311.17516"
    group: ClassVar[Group] = "text"
    needs: ClassVar[Needs] = "text encoder"

    tokens: int = 20
    """tokens of the prompt"""
    candidates: int = 256
    """tokens to try at each place"""
    batch: int = 512
    """prompts to compare in each step"""
    steps: int = 1000
    """steps of the search"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "tokens", "candidates", "batch", "steps")

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError if the text encoder reads fewer tokens."""
        if self.tokens > most_words(pipe):
            raise UsageError(f"tokens={self.tokens} of MMA; the model reads at most {most_words(pipe)}.")

    @torch.no_grad()
    def learn(self, case: Case, variant: str) -> Learned:
        """Returns the tokens of the prompt with the lowest loss."""
        pipe, generator = case.victim, torch.Generator().manual_seed(case.seed)
        words = allowed_words(pipe, banned_names(case.concept))
        _, target = encode(pipe, sequence(pipe, words_of(pipe, bare_prompt(case.concept)))[None])
        found = words[torch.randint(len(words), (self.tokens,), generator=generator)]
        lowest = loss_of(pipe, sequence(pipe, found.tolist())[None], target)[0]
        for _ in tqdm(range(self.steps), "MMA", unit="step", delay=2, leave=False):
            best = promising(pipe, found, target, words, self.candidates)
            places = torch.randint(self.tokens, (self.batch,), generator=generator)
            chosen = torch.randint(best.shape[1], (self.batch,), generator=generator)
            prompts = found.repeat(self.batch, 1)
            prompts[torch.arange(self.batch), places] = best[places, chosen]
            losses = loss_of(pipe, torch.stack([sequence(pipe, row) for row in prompts.tolist()]), target)
            if losses.min() < lowest:
                lowest, found = losses.min(), prompts[int(losses.argmin())]
        return {"words": found[None]}

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws the prompt that was found, as text, with each seed."""
        (prompt,) = found_prompts(case.victim, learned)
        other = [Request(prompt, one.seed, one.guidance_scale) for one in requests]
        return draw_plain(case.victim, other, case.drawing)

    def notes(self, case: Case, learned: Learned, variant: str) -> Mapping[str, float | str]:
        """Returns the prompt."""
        return {"prompt": found_prompts(case.victim, learned)[0]}
