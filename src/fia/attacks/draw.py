"""Draws for attacks: with a pipeline as it is, with text embeddings, and the best of several tries."""

from collections.abc import Callable, Iterable, Sequence

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..drawing.images import Drawing, Request, draw_batch
from ..methods.text_embeddings import embed
from ..models.pipelines import hidden_progress_bar
from .interface import Case

Draw = Callable[[list[Request]], list[Image.Image]]


def draw_plain(
    pipe: StableDiffusionPipeline, requests: Sequence[Request], drawing: Drawing, **changed: object
) -> list[Image.Image]:
    """Returns an image for each request, from prompts.

    Args:
        pipe: the pipeline that draws.
        requests: what to draw, at most a batch.
        drawing: how to draw.
        changed: parts of the pipeline, such as the scheduler, to draw with instead of its own.
    """
    before = {name: getattr(pipe, name) for name in changed}
    try:
        for name, part in changed.items():
            setattr(pipe, name, part)
        with hidden_progress_bar(pipe):
            return draw_batch(pipe, requests, drawing)
    finally:
        for name, part in before.items():
            setattr(pipe, name, part)


@torch.no_grad()
def draw_embedded(
    pipe: StableDiffusionPipeline, texts: Float[Tensor, "n tokens width"], seeds: Sequence[int], drawing: Drawing
) -> list[Image.Image]:
    """Returns an image for each text embedding and seed."""
    guidance = {} if drawing.guidance_scale is None else {"guidance_scale": drawing.guidance_scale}
    with hidden_progress_bar(pipe), drawing.precision(pipe):
        images: list[Image.Image] = pipe(
            prompt_embeds=texts,
            negative_prompt_embeds=embed(pipe, [""]).expand(len(texts), -1, -1),
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            num_inference_steps=drawing.num_inference_steps,
            **guidance,
        ).images
    return images


def best_of(case: Case, requests: Sequence[Request], tries: Iterable[Draw]) -> list[Image.Image]:
    """Returns, for each request, the first image in which the judge sees the concept, or else the last one.

    Args:
        case: has the judge.
        requests: what to draw.
        tries: each draws requests. A try draws only what no earlier one brought back.
    """
    best: dict[int, Image.Image] = {}
    left = list(range(len(requests)))
    for draw in tries:
        images = draw([requests[i] for i in left])
        best |= dict(zip(left, images, strict=True))
        left = [i for i, is_seen in zip(left, case.sees(images), strict=True) if not is_seen]
        if not left:
            break
    return [best[i] for i in range(len(requests))]
