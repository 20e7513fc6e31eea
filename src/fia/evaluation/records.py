"""What is measured, as it stands in the JSON of results."""

from typing import TypedDict, final

from ..provenance import Identity


@final
class Proportion(TypedDict):
    """How many of some images are right.

    Attributes:
        percent: of `number`, `right`.
        interval: of 95 %, Wilson's, in percent.
    """

    percent: float
    interval: list[float]
    right: int
    number: int


@final
class Mean(TypedDict):
    """A mean over some images, with its interval of 95 % by the bootstrap."""

    mean: float
    interval: list[float]
    number: int


class Costs(TypedDict, total=False):
    """What it took to make an edit; empty for a control."""

    seconds: float
    megabytes: float


class Scores(TypedDict, total=False):
    """What a task measures in one state of the model; every task has some of these.

    Attributes:
        still_detected: images in which the judge still sees what should be gone.
        kept: images in which it sees what is named to be kept.
        rest: images in which it sees everything else.
        overall: of the first two, see `questions.overall`.
        remains: forgotten images in which it sees what else the prompt asks for.
        seen_instead: what it sees in the forgotten images where it does not see what should be gone, with counts.
        by_answer: images in which it sees the right answer, by this answer.
        by_variant: the same by the way of asking.
        clip_artist: CLIP's similarity to the artist (CLIP_a), by group.
        forget_success_rate: images of forgotten artists that are further from the artist than before.
        forget_success_rate_strict: the same, by more than a margin.
        detections: of bare body parts.
        by_part: the same by the part.
        images_with_any: images with any bare part.
        clip_score: CLIP's similarity of image and caption.
        frechet_distance: to the reference images.
        pixel_distance: to the untouched model's image.
        perceptual_distance: the same, of a network's features.
        unchanged_images: images that are the untouched model's, bit for bit.
        changed_percent: of the denoiser's parameters, that the edit changes or adds.
    """

    still_detected: Proportion | None
    kept: Proportion | None
    rest: Proportion | None
    overall: float | None
    remains: Proportion | None
    seen_instead: dict[str, int]
    by_answer: dict[str, Proportion]
    by_variant: dict[str, Proportion]
    clip_artist: dict[str, Mean]
    forget_success_rate: Proportion | None
    forget_success_rate_strict: Proportion | None
    detections: int
    by_part: dict[str, int]
    images_with_any: Proportion | None
    clip_score: Mean | None
    frechet_distance: float
    pixel_distance: Mean | None
    perceptual_distance: Mean | None
    unchanged_images: Proportion | None
    changed_percent: float


class TaskResult(TypedDict):
    """A task in every state of the model.

    Attributes:
        measured_with: judges, networks and reference images.
        images: of each state.
        prompts: a hash of prompts, seeds and questions.
        states: the scores by state.
    """

    measured_with: list[Identity]
    images: int
    prompts: str
    states: dict[str, Scores]


EditName = dict[str, str | list[str]]  # what tells an edit from others: names and hashes


class EvaluationResult(TypedDict):
    """What `fia evaluate` writes to results.json.

    Attributes:
        model: its name and hash, type and scheduler.
        edit: that was evaluated.
        forgotten: the concepts that should be gone, with their kinds and ratios.
        drawing: how the images were generated.
        seed: of the first image.
        environment: versions, device and commit.
        tasks: by name.
    """

    model: Identity
    edit: EditName
    forgotten: list[dict[str, object]]
    drawing: dict[str, object]
    seed: int
    environment: dict[str, object]
    tasks: dict[str, TaskResult]
