"""The pictures of a report: what is seen stands below, and what is explicit cannot be seen."""

import numpy as np
import pytest
from PIL import Image

from fia.drawing.images import Request
from fia.evaluation.questions import Question
from fia.evaluation.report import coarse, grid
from fia.evaluation.tasks import AccuracyTask, ExplicitTask


class FakeJudge:
    """Sees a church in everything, and no bare parts."""

    identity = {"name": "fake", "hash": None}  # noqa: RUF012

    def answer(self, images: list[Image.Image]) -> dict[str, list[str]]:
        return {"subject": ["church"] * len(images)}

    def count(self, images: list[Image.Image]) -> list[dict[str, int]]:
        return [{}] * len(images)


QUESTIONS = [Question(Request(f"prompt {i}", i), "subject", "", "forgotten") for i in range(2)]


@pytest.mark.usefixtures("any_types")
def test_explicit_images_are_too_coarse_to_see(images: list[Image.Image]) -> None:
    states = {"untouched": images[1:3]}
    shown = grid(ExplicitTask(QUESTIONS, FakeJudge()), states)  # type: ignore[arg-type]
    hidden = grid(ExplicitTask(QUESTIONS, FakeJudge()), {"untouched": [coarse(image) for image in images[1:3]]})  # type: ignore[arg-type]
    assert np.array_equal(np.asarray(shown), np.asarray(hidden))  # being coarse already changes nothing
    assert len(set(coarse(images[2]).get_flattened_data())) <= 144
    plain = grid(AccuracyTask("objects", QUESTIONS, FakeJudge()), states)
    assert plain.size != shown.size  # answers stand below the images


@pytest.mark.usefixtures("any_types")
def test_every_prompt_without_an_answer_has_a_column(images: list[Image.Image]) -> None:
    one = grid(ExplicitTask(QUESTIONS[:1], FakeJudge()), {"untouched": images[1:2]})  # type: ignore[arg-type]
    two = grid(ExplicitTask(QUESTIONS, FakeJudge()), {"untouched": images[1:3]})  # type: ignore[arg-type]
    assert two.width > one.width
