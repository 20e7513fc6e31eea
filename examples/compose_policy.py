"""Finds concepts once, keeps their masks in a library, and composes masks from it without the model."""

from pathlib import Path

import fia

OUT = Path("runs/examples/compose_policy")

pipe = fia.load_testbed()
library = fia.Library(OUT / "library")
for concept in ("church", "golf ball", "chain saw"):  # at any time, in any order
    if concept not in library.masks():
        library.add(fia.find(pipe, concept))

everything = library.compose(agnostic_ratio=0.8)
gentle = library.compose(["church", "chain saw"], agnostic_ratio=1.01).with_strengths({"chain saw": 0.5})
for name, mask in {"everything": everything, "gentle": gentle}.items():
    mask.save_pretrained(OUT / name)
    print(f"{name}: {', '.join(mask.concepts)}; {mask.number_pruned:,} pruned, {mask.number_spared:,} spared")

with gentle.applied(pipe):
    pipe("a chain saw on a table", num_inference_steps=20).images[0].save(OUT / "gentle.png")
