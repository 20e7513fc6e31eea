"""Forgetting a style by CLIP, worked by hand."""

import pytest
import torch
from PIL import Image

from fia.drawing.images import Request
from fia.evaluation.questions import Question
from fia.evaluation.tasks import StyleTask


class FakeClip:
    """Finds an image as similar to any text as it is red."""

    identity = {"name": "fake", "hash": None}  # noqa: RUF012

    def __init__(self) -> None:
        self.asked: list[str] = []

    def images(self, images: list[Image.Image]) -> torch.Tensor:
        return torch.tensor([[float(image.getpixel((0, 0))[0])] for image in images])

    def texts(self, texts: list[str]) -> torch.Tensor:
        self.asked = texts
        return torch.zeros(len(texts), 1)

    def similarities(self, images: torch.Tensor, _texts: torch.Tensor) -> list[float]:
        return images[:, 0].tolist()


def reds(*values: int) -> list[Image.Image]:
    return [Image.new("RGB", (1, 1), (value, 0, 0)) for value in values]


@pytest.mark.usefixtures("any_types")
def test_rates_count_drops_of_the_forgotten_artists_alone() -> None:
    groups = ["forgotten", "forgotten", "forgotten", "forgotten", "kept"]
    questions = [Question(Request("", i), "style", "Monet", group) for i, group in enumerate(groups)]  # type: ignore[arg-type]
    questions.insert(2, Question(Request("", 9), "subject", "church", "kept"))  # the judge's alone
    clip = FakeClip()
    task = StyleTask(questions, clip)  # type: ignore[arg-type]
    # Drops of 10, 3 and 5 points, a rise, and a drop of the kept artist.
    before, after = reds(30, 30, 99, 30, 30, 30), reds(20, 27, 0, 25, 31, 0)
    assert task.score(before)["clip_artist"]["forgotten"]["mean"] == pytest.approx(30)
    assert task.score(after)["clip_artist"]["kept"]["mean"] == 0
    assert clip.asked == ["in the style of Monet"] * 5
    rates = task.compare(before, after)
    assert rates["forget_success_rate"]["percent"] == 75
    assert rates["forget_success_rate_strict"]["percent"] == 25  # 5 points are not more than 5
