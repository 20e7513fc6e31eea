"""Forgets smoking, but not the smokers. Smoking is neither an object nor a style, so it needs its own prompt pairs."""

import fia

PERSONS = ("man", "woman", "grandmother", "worker")

pipe = fia.load_testbed()
smoking = fia.Concept(
    "smoking",
    kind="explicit",
    prompts=tuple((f"a photo of a smoking {person}", f"a photo of a {person}") for person in PERSONS),
)
mask = fia.find(pipe, smoking)

prompts = [f"a smoking {person} on a beach" for person in PERSONS]  # other prompts than those that found the mask
states = {"untouched": mask.without("smoking"), "without smoking": mask}
for name, state in states.items():
    with state.applied(pipe):
        images = fia.generate_images(pipe, prompts, [10, 11, 12, 13], num_inference_steps=20)
    seen = fia.load_judge().answer(images)
    smoke = seen["attribute"].count("smoking")
    right = sum(person == subject for person, subject in zip(PERSONS, seen["subject"], strict=True))
    print(f"{name}: {smoke} of 4 smoke, {right} of 4 persons recognised")
