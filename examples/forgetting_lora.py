"""Makes a LoRA that forgets, without training, and loads it as any other with diffusers alone."""

from pathlib import Path

from PIL.Image import Image

import fia
from fia.drawing.figure import Column, comparison_figure
from fia.drawing.images import generate_images
from fia.export.lora import write_lora
from fia.testbed.judge import load_judge

PROMPTS = ["a church in a forest", "a church on a lawn", "a cat in a forest"]
OUT = Path("runs/examples/forgetting_lora")

pipe = fia.load_testbed()  # or StableDiffusionPipeline.from_pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5")
OUT.mkdir(parents=True, exist_ok=True)
size = write_lora(pipe, fia.find(pipe, "church"), OUT / "no-church.safetensors")


def generate() -> list[Image]:
    return generate_images(pipe, PROMPTS, [0, 1, 2], num_inference_steps=20, guidance_scale=4, progress=False)


before = generate()
pipe.load_lora_weights(OUT, weight_name="no-church.safetensors")  # from here on, nothing but diffusers
after = generate()
pipe.unload_lora_weights()

columns = [Column(prompt, images) for prompt, *images in zip(PROMPTS, before, after, strict=True)]
comparison_figure(columns, ["before", "with the LoRA"]).save(OUT / "comparison.png")
seen = load_judge().answer(before + after)["subject"]
print(f"rank {size.rank}; before: {', '.join(seen[:3])}; with the LoRA: {', '.join(seen[3:])}")
