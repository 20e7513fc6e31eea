"""Forgets what is no object and no style, with pairs of prompts of one's own: smoking, but not the smokers."""

import fia
from fia.drawing.images import generate_images
from fia.testbed import load_classifier
from fia.testbed.judge import judge

PERSONS = ("man", "woman", "grandmother", "worker")

pipe = fia.load_testbed()
smoking = fia.Concept(
    "smoking",
    prompts=tuple((f"a photo of a smoking {person}", f"a photo of a {person}") for person in PERSONS),
)
mask = fia.find(pipe, smoking, spatial_ratio=0.05, seeds_per_prompt=2)

prompts = [f"a smoking {person} on a beach" for person in PERSONS]  # not those of the finding
states = {"untouched": mask.without("smoking"), "without smoking": mask}
for name, state in states.items():
    with state.applied(pipe):
        images = generate_images(pipe, prompts, [10, 11, 12, 13], num_inference_steps=20, guidance_scale=4)
    seen = judge(load_classifier(), images)
    smoke = seen.attributes.count("smoking")
    right = sum(person == subject for person, subject in zip(PERSONS, seen.subjects, strict=True))
    print(f"{name}: {smoke} of 4 smoke, {right} of 4 persons recognised")
