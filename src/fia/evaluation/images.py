"""Draws images, each from a seed of its own."""

from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from tqdm.auto import tqdm

from ..denoise import hidden_progress_bar


def generate_images(
    pipe: DiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    num_inference_steps: int = 50,
    guidance_scale: float = 7.5,
    batch_size: int = 16,
    description: str = "Drawing",
    progress: bool = True,
) -> list[Image.Image]:
    """Returns one image for each prompt and seed, in order.

    Args:
        prompts: what to draw.
        seeds: as many; equal seeds give equal images whatever else is drawn, up to the rounding of larger batches.
        batch_size: images drawn at a time.
        description: of the progress bar.
    """
    images: list[Image.Image] = []
    with (
        hidden_progress_bar(pipe),
        tqdm(total=len(prompts), desc=description, unit="image", disable=not progress) as bar,
    ):
        for start in range(0, len(prompts), batch_size):
            chosen = list(prompts[start : start + batch_size])
            generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + batch_size]]
            images += pipe(
                chosen,
                generator=generators,
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
            ).images
            bar.update(len(chosen))
    return images
