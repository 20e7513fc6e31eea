"""Draws images, each from a seed of its own."""

from collections.abc import Sequence
from pathlib import Path

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
    folder: Path | None = None,
    description: str = "Drawing",
    progress: bool = True,
) -> list[Image.Image]:
    """Returns one image for each prompt and seed, in order.

    Args:
        prompts: what to draw.
        seeds: as many; equal seeds give equal images whatever else is drawn, up to the rounding of larger batches.
        batch_size: images drawn at a time.
        folder: keeps every image as a PNG, numbered from 0, as soon as it is drawn. Those it holds already are not
            drawn again, so that an interrupted run goes on where it stopped, with the same batches and images.
        description: of the progress bar.
    """
    images: list[Image.Image] = []
    with (
        hidden_progress_bar(pipe),
        tqdm(total=len(prompts), desc=description, unit="image", disable=not progress) as bar,
    ):
        for start in range(0, len(prompts), batch_size):
            batch = slice(start, start + batch_size)
            files = [folder / f"{i:05d}.png" for i in range(len(prompts))[batch]] if folder else []
            if files and all(file.exists() for file in files):
                images += [_read(file) for file in files]
            else:
                drawn = pipe(
                    list(prompts[batch]),
                    generator=[torch.Generator().manual_seed(seed) for seed in seeds[batch]],
                    num_inference_steps=num_inference_steps,
                    guidance_scale=guidance_scale,
                ).images
                for file, image in zip(files, drawn, strict=bool(files)):
                    _write(file, image)
                images += drawn
            bar.update(len(prompts[batch]))
    return images


def _read(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGB")


def _write(file: Path, image: Image.Image) -> None:
    """Writes a PNG whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    image.save(partial, format="PNG")
    partial.replace(file)
