"""Forgets the church, draws the same prompts before and after, and gives every weight back."""

from pathlib import Path

import fia
from fia.drawing.figure import Column, comparison_figure
from fia.drawing.images import generate_images

PROMPTS = ["a church in a forest", "a church on a lawn", "a cat in a forest"]
OUT = Path("runs/examples/forget_one")

pipe = fia.load_testbed()  # or StableDiffusionPipeline.from_pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5")


def draw() -> list:
    return generate_images(pipe, PROMPTS, [0, 1, 2], num_inference_steps=20, guidance_scale=4, progress=False)


before = draw()
mask = fia.forget(pipe, "church", spatial_ratio=0.1)
after = draw()
mask.remove(pipe)
assert [image.tobytes() for image in draw()] == [image.tobytes() for image in before], "weights must come back"

OUT.mkdir(parents=True, exist_ok=True)
columns = [Column(prompt, images) for prompt, *images in zip(PROMPTS, before, after, strict=True)]
comparison_figure(columns, ["before", "after"]).save(OUT / "comparison.png")
mask.save_pretrained(OUT / "mask")
print(f"{mask.number_pruned:,} weights were zero; look at {OUT / 'comparison.png'}")
