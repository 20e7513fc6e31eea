"""Serves one pipeline to many threads. Each request runs under the mask that its user's policy names."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

import fia

OUT = Path("runs/examples/serve_policies")

pipe = fia.load_testbed()
pipe.set_progress_bar_config(disable=True)
mask = fia.find(pipe, ["church", "golf ball"])
policy = fia.Policy(pipe, {"strict": mask, "no-church": mask.only("church")})
OUT.mkdir(parents=True, exist_ok=True)


def answer(request: tuple[str | None, str]) -> Path:
    """Generates the image of one request, as a handler of a web server would."""
    name, prompt = request
    with policy(name) as masked:  # one thread at a time; at the end every weight is restored
        image = masked(prompt, generator=torch.Generator().manual_seed(0), num_inference_steps=20).images[0]
    file = OUT / f"{prompt.replace(' ', '-')}.{name or 'untouched'}.png"
    image.save(file)
    return file


requests = [
    (name, prompt) for prompt in ("a church in a forest", "a golf ball on a lawn") for name in (None, *policy.names)
]
with ThreadPoolExecutor(max_workers=4) as workers:
    for file in workers.map(answer, requests):
        print(file)
