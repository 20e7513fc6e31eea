"""Concept inversion (Pham et al., arXiv 2308.01508): a new word, learned on the edited model from pictures.

Textual inversion (Gal et al., arXiv 2208.01618) of the edited model: only the embedding of one new token is learned,
from pictures by the original model whose prompts have the new token in place of the concept's name. It is the strongest
probe of what a denoiser still knows. The embedding starts from the mean of all tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..drawing.images import Drawing, Request
from ..settings import check_at_least_one
from .draw import draw_embedded
from .interface import Attack, Case, FoundWords, Group, Learned, Needs
from .targets import around
from .tokens import encode, sequence, token_table, words_of
from .training import Denoising, check_rate, check_trainable, clean_latents, prediction_error


def with_new_word(
    pipe: StableDiffusionPipeline, prompts: Sequence[str], name: str
) -> tuple[Int[Tensor, "n tokens"], Bool[Tensor, "n tokens"]]:
    """Returns the tokens of prompts with one token in place of a name, and which one it is."""
    rows, is_new = [], []
    for prompt in prompts:
        before, after = around(prompt, name)
        words = words_of(pipe, before)
        ids = sequence(pipe, [*words, 0, *words_of(pipe, after)])
        rows.append(ids)
        is_new.append(torch.arange(len(ids)) == 1 + len(words))
    return torch.stack(rows), torch.stack(is_new)


def embedded(
    table: Float[Tensor, "vocabulary width"],
    ids: Int[Tensor, "n tokens"],
    is_new: Bool[Tensor, "n tokens"],
    word: Float[Tensor, " width"],
) -> Float[Tensor, "n tokens width"]:
    """Returns the embeddings of tokens, with that of the new word in its place."""
    return torch.where(is_new.to(table.device)[..., None], word, table[ids.to(table.device)])


@dataclass(frozen=True)
class Inversion(Attack):
    """A new word for the concept, learned on the edited model."""

    title: ClassVar[str] = "concept inversion"
    paper: ClassVar[str] = "Pham et al., arXiv 2308.01508"
    group: ClassVar[Group] = "white"
    needs: ClassVar[Needs] = "gradients"
    finds_words: ClassVar[bool] = True

    steps: int = 3000
    """steps of training"""
    learning_rate: float = 5e-3
    """rate of AdamW"""
    batch_size: int = 4
    """pictures of a step"""
    pictures: int = 25
    """pictures to learn from"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "steps", "batch_size", "pictures")
        check_rate(self.title, self.learning_rate)

    @property
    def number_of_pictures(self) -> int:
        return self.pictures

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises TypeError if the model is not in float32."""
        check_trainable(pipe)

    def learn(self, case: Case, variant: str) -> Learned:
        """Returns the embedding of the new word."""
        pipe, table = case.victim, token_table(case.victim)
        pictures, generator = case.pictures[: self.pictures], torch.Generator().manual_seed(case.seed)
        latents = clean_latents(case.original, [picture.image for picture in pictures])
        ids, is_new = with_new_word(pipe, [picture.prompt for picture in pictures], case.concept.name)
        word = nn.Parameter(table.mean(0))
        optimizer, denoising = torch.optim.AdamW([word], lr=self.learning_rate), Denoising(pipe)
        for _ in tqdm(range(self.steps), "Concept inversion", unit="step", delay=2, leave=False):
            rows = torch.randint(len(latents), (self.batch_size,), generator=generator)
            timesteps = denoising.random_timesteps(len(rows), generator)
            noisy, wanted = denoising.noisy(latents[rows.to(latents.device)], generator, timesteps)
            text, _ = encode(pipe, ids[rows], embedded(table, ids[rows], is_new[rows], word))
            (word.grad,) = torch.autograd.grad(prediction_error(pipe.unet, noisy, timesteps, text, wanted), word)
            optimizer.step()
        return {"word": word.detach()}

    @torch.no_grad()
    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Draws the prompts with the new word in place of the name."""
        pipe, table = case.victim, token_table(case.victim)
        ids, is_new = with_new_word(pipe, [request.prompt for request in requests], case.concept.name)
        text, _ = encode(pipe, ids, embedded(table, ids, is_new, learned["word"].to(table)))
        return draw_embedded(pipe, text, [request.seed for request in requests], case.drawing)

    def found_words(self, learned: Learned) -> list[FoundWords]:
        """Returns the new word."""
        return [FoundWords(learned["word"][None], replaces_name=True)]
