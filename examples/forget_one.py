"""Forgets the church, generates the same prompts before and after, and restores every weight."""

from pathlib import Path

from PIL.Image import Image

import fia
from fia.drawing.figure import Column, comparison_figure

PROMPTS = ["a church in a forest", "a church on a lawn", "a cat in a forest"]
OUT = Path("runs/examples/forget_one")

pipe = fia.load_testbed()  # or StableDiffusionPipeline.from_pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5")


def generate() -> list[Image]:
    return fia.generate_images(pipe, PROMPTS, [0, 1, 2], num_inference_steps=20, progress=False)


before = generate()
mask = fia.forget(pipe, "church")
after = generate()
mask.remove(pipe)
assert [image.tobytes() for image in generate()] == [image.tobytes() for image in before], "weights must come back"

OUT.mkdir(parents=True, exist_ok=True)
columns = [Column(prompt, images) for prompt, *images in zip(PROMPTS, before, after, strict=True)]
comparison_figure(columns, ["before", "after"]).save(OUT / "comparison.png")
mask.save_pretrained(OUT / "mask")
print(f"{mask.number_pruned:,} weights were zero; look at {OUT / 'comparison.png'}")
