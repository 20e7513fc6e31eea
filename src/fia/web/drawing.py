"""The job that generates images before, after and under a random mask, from the same prompts and seeds."""

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from PIL import Image

from ..drawing.images import Request, batches, draw_batch
from ..evaluation.questions import Judge
from ..masks.mask import NeuronMask
from ..masks.random_control import random_mask
from ..models.pipelines import hidden_progress_bar
from ..provenance import hash_json
from .finding import Found, check_length, fused_facts
from .forms import DrawForm
from .jobs import Job
from .refusal import entered_in
from .sessions import Picture, Pictures
from .verdict import Seen, describe, verdict

STATES = {"before": "the images before", "after": "the images after", "random": "the images under a random mask"}


@dataclass(frozen=True)
class Plan:
    """The images to generate.

    Attributes:
        found: the concepts and the model.
        mask: the mask of the concepts that are switched on.
        requests: the prompts with their seeds, one prompt after another.
        states: the states of STATES that the page wants.
        keys: the key of the image for each state and request.
        num_inference_steps: number of steps of each image.
    """

    found: Found
    mask: NeuronMask
    requests: list[Request]
    states: list[str]
    keys: dict[tuple[str, int], str]
    num_inference_steps: int

    def as_json(self) -> list[dict[str, Any]]:
        """Returns the images for the page: for each request its prompt, its seed, and its key in each state."""
        return [
            {"prompt": request.prompt, "seed": request.seed} | {state: self.keys[state, i] for state in self.states}
            for i, request in enumerate(self.requests)
        ]


def plan(found: Found, form: DrawForm) -> Plan:
    """Returns the images that a form asks for.

    Raises:
        Refused: if a value of the form cannot be used.
    """
    prompts = form.checked_prompts()
    with entered_in("strengths"):
        mask = found.mask.only(*form.strengths).with_strengths(form.strengths)
    with entered_in("agnostic_ratio"):
        mask = mask.with_agnostic_ratio(form.agnostic_ratio)
    seeds = [(form.first_seed + i) % 2**32 for i in range(form.pictures)]
    requests = [Request(prompt, seed) for prompt in prompts for seed in seeds]
    states = ["before", "after", *(["random"] if form.control else [])]
    edit = [found.id, sorted(form.strengths.items()), form.agnostic_ratio]
    keys = {
        (state, i): hash_json(
            [
                *(found.offer.label, state, edit if state != "before" else None),
                *(request.prompt, request.seed, form.num_inference_steps),
            ]
        )
        for state in states
        for i, request in enumerate(requests)
    }
    return Plan(found, mask, requests, states, keys, form.num_inference_steps)


def draw(job: Job, plan: Plan, pictures: Pictures) -> dict[str, Any]:
    """Generates the images that are missing. The model stays as it was.

    Returns:
        How much the mask changes and, if there is a judge, its verdict on the images.
    """
    pipe = plan.found.offer.pipe
    assert pipe is not None  # the concepts were found in it
    check_length(pipe, (request.prompt for request in plan.requests), "prompts")
    job.ready = {key: describe(pictures.seen(key)) for key in pictures.keep(list(plan.keys.values()))}
    numbers = range(len(plan.requests))
    missing = {state: [i for i in numbers if plan.keys[state, i] not in job.ready] for state in plan.states}
    job.begin("Generating images", sum(map(len, missing.values())) * plan.num_inference_steps)
    for state in plan.states:
        if missing[state]:
            job.what = f"Generating {STATES[state]}"
            with _edit(plan, state), hidden_progress_bar(pipe):
                _draw_state(job, plan, state, missing[state], pictures)
    return fused_facts(plan.mask) | {"verdict": _verdict(plan, pictures)}


def _verdict(plan: Plan, pictures: Pictures) -> dict[str, Any] | None:
    """Returns the judge's verdict on the images; None if the model has no judge."""
    found = plan.found
    if found.offer.judge is None:
        return None
    seen = [
        (request.prompt, {state: pictures.seen(plan.keys[state, i]) for state in plan.states})
        for i, request in enumerate(plan.requests)
    ]
    return verdict(seen, found.offer.known, plan.mask.concepts, [concept.name for concept in found.form.checked_keep()])


def _draw_state(job: Job, plan: Plan, state: str, missing: Sequence[int], pictures: Pictures) -> None:
    """Generates some images of a state, with the model as it is now."""
    pipe, steps = plan.found.offer.pipe, plan.num_inference_steps
    drawing = replace(plan.found.offer.drawing, num_inference_steps=steps)
    requests = [plan.requests[i] for i in missing]
    for batch in batches(requests, drawing):
        on_step = partial(_count_step, job, job.done, count(1), len(batch), steps)
        images = draw_batch(pipe, [requests[i] for i in batch], drawing, on_step)
        for i, image, seen in zip(batch, images, _look(plan.found.offer.judge, images), strict=True):
            key = plan.keys[state, missing[i]]
            pictures.add(key, Picture(_png(image), seen))
            job.ready[key] = describe(seen)


def _look(judge: Judge | None, images: Sequence[Image.Image]) -> list[Seen]:
    """Returns what the judge sees in each image."""
    if judge is None:
        return [{}] * len(images)
    answers = judge.answer(images)
    return [{kind: own[i] for kind, own in answers.items()} for i in range(len(images))]


def _count_step(job: Job, before: int, taken: Iterator[int], pictures: int, steps: int) -> None:
    """Counts one more step of a batch, once for each image. Extra steps of some schedulers do not count."""
    job.step(before + pictures * min(next(taken), steps), job.total)


def _edit(plan: Plan, state: str) -> AbstractContextManager[Any]:
    """Returns the context in which the model generates the images of a state."""
    if state == "before":
        return nullcontext()
    mask = plan.mask if state == "after" else random_mask(plan.mask)
    return mask.applied(plan.found.offer.pipe)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
