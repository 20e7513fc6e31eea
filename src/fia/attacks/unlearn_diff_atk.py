"""UnlearnDiffAtk (Zhang et al., arXiv 2310.11868): a few tokens before the prompt, found by gradients of the denoiser.

The target is the picture that the original model draws for the same prompt and seed. The tokens are a relaxed choice
from the vocabulary: a point of the simplex for each token, from which one is sampled, and through which the gradient
passes as if it had been taken whole. They make the edited denoiser's error on the noisy target small, timestep by
timestep. After each timestep, the prompt is drawn with its seed; the attack stops if the judge sees the concept. If the
prompt alone brings the concept back, nothing is searched for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..drawing.images import Drawing, Request
from ..errors import UsageError
from ..settings import check_at_least_one
from .draw import draw_embedded, draw_plain
from .interface import Attack, Case, FoundWords, Group, Learned, Needs
from .tokens import encode, most_words, sequence, straight_through, token_table, words_of
from .training import Denoising, check_rate, check_trainable, clean_latents, prediction_error


def on_simplex(rows: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
    """Returns the nearest point of the simplex to each row (Duchi et al., ICML 2008)."""
    ordered = rows.sort(dim=1, descending=True).values
    excess = (ordered.cumsum(1) - 1) / torch.arange(1, rows.shape[1] + 1, device=rows.device)
    last = (ordered > excess).sum(1, keepdim=True) - 1
    return (rows - excess.gather(1, last)).clamp(min=0)


@dataclass(frozen=True)
class UnlearnDiffAtk(Attack):
    """Tokens before the prompt, found by gradients."""

    title: ClassVar[str] = "UnlearnDiffAtk"
    paper: ClassVar[str] = "Zhang et al., arXiv 2310.11868"
    group: ClassVar[Group] = "white"
    needs: ClassVar[Needs] = "gradients"
    one_at_a_time: ClassVar[bool] = True
    finds_words: ClassVar[bool] = True

    tokens: int = 3
    """tokens before the prompt"""
    timesteps: int = 50
    """timesteps to attack, the noisiest first; after each, the prompt is drawn"""
    iterations: int = 40
    """iterations for each timestep"""
    learning_rate: float = 0.01
    """rate of AdamW"""
    weight_decay: float = 0.1
    """decay of AdamW"""

    def __post_init__(self) -> None:
        check_at_least_one(self, "tokens", "timesteps", "iterations")
        check_rate(self.title, self.learning_rate)

    def check(self, pipe: StableDiffusionPipeline, drawing: Drawing) -> None:
        """Raises ValueError or TypeError if the model reads too few tokens, or is not in float32."""
        check_trainable(pipe)
        if self.tokens >= most_words(pipe):
            raise UsageError(f"tokens={self.tokens} of UnlearnDiffAtk; the model reads at most {most_words(pipe)}.")

    def draw(self, case: Case, requests: Sequence[Request], learned: Learned, variant: str) -> list[Image.Image]:
        """Attacks each request, and returns the first image in which the judge sees the concept, or the last one."""
        return [self._draw(case, request, learned) for request in requests]

    def found_words(self, learned: Learned) -> list[FoundWords]:
        """Returns the tokens of each request that brought the concept back."""
        return [FoundWords(tokens, replaces_name=False) for _, tokens in sorted(learned.items())]

    def _draw(self, case: Case, request: Request, learned: Learned) -> Image.Image:
        pipe, table = case.victim, token_table(case.victim)
        (image,) = draw_plain(pipe, [request], case.drawing)
        if case.sees([image])[0]:
            return image
        generator = torch.Generator().manual_seed(request.seed)
        target = clean_latents(case.original, draw_plain(case.original, [request], case.drawing))
        ids = sequence(pipe, [0] * self.tokens + words_of(pipe, request.prompt))[None].to(table.device)
        choice = nn.Parameter(torch.full((self.tokens, len(table)), 1 / len(table), device=table.device))
        optimizer = torch.optim.AdamW([choice], lr=self.learning_rate, weight_decay=self.weight_decay)
        denoising = Denoising(pipe)
        steps = denoising.spread_timesteps(self.timesteps)
        for timestep in tqdm(steps, "UnlearnDiffAtk", unit="timestep", delay=2, leave=False):
            for _ in range(self.iterations):
                sampled = torch.multinomial(choice.detach().cpu(), 1, generator=generator)[:, 0].to(table.device)
                one_hot = straight_through(F.one_hot(sampled, len(table)).to(table), choice)
                text, _ = encode(pipe, ids, self.embedded(table, ids, one_hot))
                noisy, wanted = denoising.noisy(target, generator, timestep[None])
                loss = prediction_error(pipe.unet, noisy, timestep[None], text, wanted)
                (choice.grad,) = torch.autograd.grad(loss, choice)
                optimizer.step()
                with torch.no_grad():
                    choice.copy_(on_simplex(choice))
            with torch.no_grad():
                one_hot = F.one_hot(choice.argmax(1), len(table)).to(table)
                text, _ = encode(pipe, ids, self.embedded(table, ids, one_hot))
            (image,) = draw_embedded(pipe, text, [request.seed], case.drawing)
            if case.sees([image])[0]:
                learned[f"seed {request.seed}"] = one_hot @ table
                break
        return image

    def embedded(self, table: Tensor, ids: Tensor, one_hot: Tensor) -> Tensor:
        """Returns the embeddings of the tokens of a prompt (1, tokens, width), with the choice after its start."""
        embeddings = table[ids]
        return torch.cat([embeddings[:, :1], (one_hot @ table)[None], embeddings[:, 1 + self.tokens :]], dim=1)
