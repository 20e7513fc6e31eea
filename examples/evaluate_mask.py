"""Compares a mask with the untouched model and a random mask of equal size: what is still detected and what is kept."""

import fia
from fia.drawing.images import Request
from fia.edits.interface import NoEdit
from fia.evaluation.questions import Question, score

FORGOTTEN, KEPT, PLACES = ["church", "golf ball"], ["cat", "bus", "banana"], ["forest", "road"]

questions = [
    Question(
        Request(f"a photo of a {name} in a {place}", seed),
        kind="subject",
        answer=name,
        group="forgotten" if name in FORGOTTEN else "kept",
    )
    for seed, (name, place) in enumerate((name, place) for name in FORGOTTEN + KEPT for place in PLACES)
]
prompts, seeds = [q.request.prompt for q in questions], [q.request.seed for q in questions]

pipe, judge = fia.load_testbed(), fia.load_judge()
mask = fia.find(pipe, FORGOTTEN)

print(f"{'detected, %':<16}{'forgotten':>12}{'kept':>8}")
for name, edit in {"untouched": NoEdit(), "masked": mask, "random mask": fia.random_mask(mask)}.items():
    with edit.applied(pipe):
        images = fia.generate_images(pipe, prompts, seeds, num_inference_steps=20)
    scores = score(questions, judge.answer(images))
    print(f"{name:<16}{scores['still_detected']['percent']:>12.0f}{scores['kept']['percent']:>8.0f}")
