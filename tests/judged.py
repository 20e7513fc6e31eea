"""What the test-bed's judge sees in the demonstration's images of the ten objects."""

from diffusers import DiffusionPipeline

from fia import Concept
from fia.bench.demo import FORGOTTEN, KEPT
from fia.bench.questions import World, ask
from fia.drawing.images import generate_images
from fia.evaluation.questions import Question, score
from fia.testbed.judge import load_judge


def questions_about_ten(images_per_object: int) -> list[Question]:
    """Returns the demonstration's questions about the five to forget and the five to keep."""
    world = World(images_per_object, 1, 1, seed=1000)
    asked = ask(world, [Concept(name) for name in FORGOTTEN], KEPT)
    return [question for question in asked if question.group != "rest"]


def percents(pipe: DiffusionPipeline, questions: list[Question], num_inference_steps: int) -> dict[str, float]:
    """Returns what is still detected, kept and remains, in percent, and Overall."""
    prompts, seeds = [q.request.prompt for q in questions], [q.request.seed for q in questions]
    images = generate_images(
        pipe, prompts, seeds, num_inference_steps=num_inference_steps, guidance_scale=4, progress=False
    )
    scores = score(questions, load_judge().answer(images))
    keys = ("still_detected", "kept", "remains")
    return {key: scores[key]["percent"] for key in keys} | {"overall": scores["overall"]}
