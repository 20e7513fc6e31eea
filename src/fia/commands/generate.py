"""`fia generate`."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from PIL import Image
from tyro.conf import OmitArgPrefixes, Positional, arg

from ..drawing.figure import Column, comparison_figure
from ..drawing.images import generate_images
from ..errors import UsageError
from ..loading import Runtime
from ..masks.mask import NeuronMask
from .arguments import Model


@dataclass
class Generate:
    """Draws prompts with a model, and with a mask also what becomes of them, from the same seeds.

    Example: fia generate testbed "a church in a forest" "a cat on a beach" --mask masks/two --seeds 0 1 --out pictures
    """

    model: Model
    """testbed, a diffusers folder, a single-file checkpoint (.safetensors), or the id of a repository on the Hub."""
    prompts: Annotated[Positional[tuple[str, ...]], arg(metavar="PROMPT...")]
    """What to draw."""
    out: Path
    """Folder for the pictures, numbered by prompt and seed, before and after, and comparison.png with all of them."""
    mask: str | None = None
    """Folder of the mask, or the id of a repository on the Hub."""
    check_weights: bool = True
    """Refuse a model with other weights than those the mask was found in, such as a fine-tuned one."""
    seeds: tuple[int, ...] = (0,)
    """Seeds to draw every prompt from."""
    num_inference_steps: int = 50
    """Denoising steps."""
    guidance_scale: float = 7.5
    """Classifier-free guidance."""
    batch_size: int = 8
    """Images drawn at a time."""
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: bool = False
    """Print the pictures' names as JSON."""

    def run(self) -> None:
        if not self.prompts:
            raise UsageError("No prompt was given; name at least one thing to draw.")
        mask = NeuronMask.from_pretrained(self.mask) if self.mask else None
        pipe = self.runtime.load(self.model)
        prompts = [prompt for prompt in self.prompts for _ in self.seeds]
        seeds = [seed for _ in self.prompts for seed in self.seeds]
        written: list[str] = []

        def draw(state: str) -> list[Image.Image]:
            images = generate_images(
                pipe,
                prompts,
                seeds,
                num_inference_steps=self.num_inference_steps,
                guidance_scale=self.guidance_scale,
                batch_size=self.batch_size,
                description=f"Drawing: {state}",
            )
            for i, image in enumerate(images):
                path = self.out / f"prompt{i // len(self.seeds)}-seed{seeds[i]}-{state}.png"
                image.save(path)
                written.append(str(path))
            return images

        self.out.mkdir(parents=True, exist_ok=True)
        states = {}
        if mask is not None:
            with mask.applied(pipe, check_weights=self.check_weights):
                states["after"] = draw("after")
        states = {"before": draw("before")} | states
        columns = [
            Column(f"{prompt} ({seed})", [images[i] for images in states.values()])
            for i, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
        ]
        comparison_figure(columns, list(states)).save(self.out / "comparison.png")
        message = f"{len(written)} pictures, and comparison.png, are in {self.out}"
        print(json.dumps({"pictures": sorted(written)}) if self.json else message)
