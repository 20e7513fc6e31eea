"""Measures what a mask forgets and what it costs, beside the untouched model and a random mask of equal size."""

from contextlib import nullcontext

import fia
from fia.drawing.images import generate_images
from fia.evaluation.accuracy import ForgettingScores
from fia.masks.random_control import random_mask
from fia.testbed import load_classifier
from fia.testbed.judge import judge

FORGOTTEN, KEPT, PLACES = ["church", "golf ball"], ["cat", "bus", "banana"], ["forest", "road"]

pipe, classifier = fia.load_testbed(), load_classifier()
mask = fia.find(pipe, FORGOTTEN, spatial_ratio=0.1, agnostic_ratio=1.01)

asked = [name for name in FORGOTTEN + KEPT for _ in PLACES]
prompts = [f"a photo of a {name} in a {place}" for name in FORGOTTEN + KEPT for place in PLACES]
states = {"untouched": nullcontext(), "mask": mask.applied(pipe), "random mask": random_mask(mask).applied(pipe)}
print(f"{'recognised, %':<16}{'forgotten':>12}{'kept':>8}")
for name, state in states.items():
    with state:
        images = generate_images(pipe, prompts, range(len(prompts)), num_inference_steps=20, guidance_scale=4)
    scores = ForgettingScores.from_answers(asked, judge(classifier, images).subjects, FORGOTTEN, KEPT)
    print(f"{name:<16}{scores.forgetting_accuracy:>12.0f}{scores.preserving_accuracy:>8.0f}")
