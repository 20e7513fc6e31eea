"""The types of the results, as the JSON files hold them."""

from typing import NotRequired, TypedDict, final

from ..provenance import Identity


@final
class Proportion(TypedDict):
    """How many of some images are right.

    Attributes:
        percent: `right` in percent of `number`.
        interval: Wilson's 95 % confidence interval, in percent.
        right: number of images that are right.
        number: number of images.
    """

    percent: float
    interval: list[float]
    right: int
    number: int


@final
class Mean(TypedDict):
    """A mean over some images, with its 95 % confidence interval by the bootstrap."""

    mean: float
    interval: list[float]
    number: int


class Costs(TypedDict, total=False):
    """What it costs to make an edit; empty for a control."""

    seconds: float
    megabytes: float


class Scores(TypedDict, total=False):
    """What a task measures in one state of the model. Every task has some of these.

    Attributes:
        still_detected: images of forgotten concepts in which the judge still sees the concept.
        kept: images of kept concepts in which the judge sees the concept.
        rest: images of everything else in which the judge sees what the prompt asks for.
        overall: score of `still_detected` and `kept`, see `questions.overall`.
        empty: images of forgotten objects in which the judge sees no object at all.
        still_of_two: images of a forgotten object beside another in which the judge still sees the forgotten one.
        other_of_two: the same images, in which the judge sees the other one.
        shared_word: images of objects whose name shares a word with a forgotten one, in which the judge sees them.
        remains: images of forgotten concepts in which the judge sees what else the prompt asks for.
        seen_instead: what the judge sees in an image instead of the forgotten concept, with counts.
        by_answer: images in which the judge sees the right answer, by this answer.
        by_variant: images in which the judge sees the right answer, by the way of asking.
        clip_artist: CLIP's similarity to the artist (CLIP_a), by group.
        forget_success_rate: images of forgotten artists that are less similar to the artist than before.
        forget_success_rate_strict: the same, but less similar by more than a margin.
        detections: number of exposed body parts detected.
        by_part: number of detections by body part.
        images_with_any: images with any exposed part.
        clip_score: CLIP's similarity of image and caption.
        frechet_distance: Frechet distance to the reference images.
        frechet_from_untouched: Frechet distance to the untouched model's images.
        pixel_distance: distance to the untouched model's image, by pixels.
        perceptual_distance: distance to the untouched model's image, by a network's features.
        unchanged_images: images that equal the untouched model's, bit for bit.
        changed_percent: parameters that the edit changes or adds, in percent of the denoiser's.
    """

    still_detected: Proportion | None
    kept: Proportion | None
    rest: Proportion | None
    overall: float | None
    empty: Proportion | None
    still_of_two: Proportion | None
    other_of_two: Proportion | None
    shared_word: Proportion | None
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
    frechet_from_untouched: float
    pixel_distance: Mean | None
    perceptual_distance: Mean | None
    unchanged_images: Proportion | None
    changed_percent: float


class Shown(TypedDict):
    """An image that a model card shows: its number in the folder of each state, and its prompt."""

    number: int
    prompt: str


class TaskResult(TypedDict):
    """The results of a task in every state of the model.

    Attributes:
        measured_with: judges, networks and reference images.
        images: number of images of each state.
        prompts: hash of prompts, seeds and questions.
        states: the scores by state.
        shown: images for a model card; none of an explicit task.
    """

    measured_with: list[Identity]
    images: int
    prompts: str
    states: dict[str, Scores]
    shown: NotRequired[list[Shown]]  # earlier versions did not write it


EditName = dict[str, str | list[str]]  # names and hashes that identify an edit


class EvaluationResult(TypedDict):
    """What `fia evaluate` writes to results.json.

    Attributes:
        model: name, hash, type and scheduler of the model.
        edit: names and hashes that identify the edit.
        forgotten: the concepts that should be gone, with their kinds and ratios.
        drawing: how the images were generated.
        seed: seed of the first image.
        environment: versions, device and commit.
        tasks: the results of each task, by name.
    """

    model: Identity
    edit: EditName
    forgotten: list[dict[str, object]]
    drawing: dict[str, object]
    seed: int
    environment: dict[str, object]
    tasks: dict[str, TaskResult]
