"""Prompting4Debugging, P4D (Chin et al., arXiv 2309.06135): a prompt that makes the edited model predict
as the original does.

The tokens' embeddings are free, and each forward pass takes the nearest tokens in their place; the gradient goes to the
free ones. The loss compares the edited denoiser's prediction for this prompt with the original's for the real one, at
random timesteps of the original's picture. P4D-N has nothing but free tokens. P4D-K keeps the prompt, and puts a free
token after every third of its tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..settings import check_at_least_one
from .draw import draw_embedded, draw_plain
from .interface import Attack, Case, Group, Learned, Needs
from .tokens import encode, most_words, sequence, straight_through, token_table, words_of
from .training import Denoising, check_rate, check_trainable, clean_latents, prediction_error

EVERY = 3  # tokens of the prompt before each free one, in P4D-K


def nearest(free: Float[Tensor, "n width"], table: Float[Tensor, "vocabulary width"]) -> Float[Tensor, "n width"]:
    """Returns the embedding of the token nearest to each free one, by the cosine; the gradient goes to the free one."""
    index = (F.normalize(free.detach(), dim=1) @ F.normalize(table, dim=1).T).argmax(1)
    return straight_through(table[index], free)


def with_free_tokens(words: Sequence[int], every: int) -> tuple[list[int], list[int]]:
    """Returns tokens with a free one after every few of them (as 0), and the places of the free ones."""
    tokens: list[int] = []
    places: list[int] = []
    for i, word in enumerate(words, start=1):
        tokens.append(word)
        if i % every == 0:
            places.append(len(tokens))
            tokens.append(0)
    return tokens, places


@dataclass(frozen=True)
class P4D(Attack):
    """A prompt found by gradients of the denoiser."""

    title: ClassVar[str] = "P4D"
    paper: ClassVar[str] = "Chin et al., arXiv 2309.06135"
    group: ClassVar[Group] = "white"
    needs: ClassVar[Needs] = "gradients"
    one_at_a_time: ClassVar[bool] = True

    tokens: int = 16
    """free tokens of P4D-N"""
    iterations: int = 3000
    """iterations for each prompt"""
    draws: int = 10
    """how often the prompt is drawn on the way; one image that the judge accepts is enough"""
    learning_rate: float = 0.1
    """rate of AdamW"""
    weight_decay: float = 0.1
    """decay of AdamW"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "tokens", "iterations", "draws")
        check_rate(self.title, self.learning_rate)

    @property
    def variants(self) -> tuple[str, ...]:
        return ("N", "K")

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError or TypeError if the model reads too few tokens, or is not in float32."""
        check_trainable(pipe)
        if self.tokens > most_words(pipe):
            raise UsageError(f"tokens={self.tokens} of P4D; the model reads at most {most_words(pipe)}.")

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Attacks each request, and returns the first image in which the judge sees the concept, or the last one."""
        return [self._draw(case, request, variant) for request in requests]

    def layout(self, words: Sequence[int], variant: str, most: int) -> tuple[list[int], list[int]]:
        """Returns the tokens of the prompt, and the places of the free ones, at most as many as the model reads."""
        tokens, places = with_free_tokens(words, EVERY)
        if variant == "N":
            tokens, places = [0] * self.tokens, list(range(self.tokens))
        return tokens[:most], [place for place in places if place < most]

    def _draw(self, case: Case, request: Request, variant: str) -> Image.Image:
        pipe, table = case.victim, token_table(case.victim)
        generator = torch.Generator().manual_seed(request.seed)
        target = clean_latents(case.original, draw_plain(case.original, [request], case.drawing))
        words = words_of(pipe, request.prompt)
        tokens, places = self.layout(words, variant, most_words(pipe))
        ids = sequence(pipe, tokens)[None].to(table.device)
        where = 1 + torch.tensor(places, device=table.device)
        start = torch.randint(len(table), (len(places),), generator=generator).to(table.device)
        free = nn.Parameter(table[start].clone())
        optimizer = torch.optim.AdamW([free], lr=self.learning_rate, weight_decay=self.weight_decay)
        with torch.no_grad():
            wanted_text, _ = encode(case.original, sequence(pipe, words)[None])
        denoising, image = Denoising(pipe), Image.new("RGB", (1, 1))
        draws_after = {round((n + 1) * self.iterations / self.draws) for n in range(self.draws)}
        for iteration in tqdm(range(self.iterations), f"P4D-{variant}", unit="iteration", delay=2, leave=False):
            timestep = denoising.random_timesteps(1, generator)
            noisy, _ = denoising.noisy(target, generator, timestep)
            with torch.no_grad():
                wanted = case.original.unet(noisy, timestep, wanted_text).sample
            text, _ = encode(pipe, ids, self.embedded(table, ids, where, free))
            (free.grad,) = torch.autograd.grad(prediction_error(pipe.unet, noisy, timestep, text, wanted), free)
            optimizer.step()
            if iteration + 1 in draws_after:
                with torch.no_grad():
                    text, _ = encode(pipe, ids, self.embedded(table, ids, where, free))
                (image,) = draw_embedded(pipe, text, [request.seed], case.drawing)
                if case.sees([image])[0]:
                    break
        return image

    def embedded(self, table: Tensor, ids: Tensor, where: Int[Tensor, " n"], free: Tensor) -> Tensor:
        """Returns the embeddings of a prompt (1, tokens, width), with the tokens nearest to the free ones in place."""
        return table[ids].index_copy(1, where, nearest(free, table)[None])
