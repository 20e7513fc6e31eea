"""Looks at a few images of each concept, before and after: is it still there?

The prompts and seeds are others than those that found the neurons. On the embedded model, its classifier judges. On any
other model CLIP does, if there is one on this machine: an image shows the concept if it fits the prompt with the
concept better than the same prompt without it. This is a quick look, not an evaluation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from PIL import Image
from tqdm.auto import tqdm

from ..concepts import Concept
from ..drawing.figure import Column, comparison_figure
from ..drawing.images import Drawing, Request, batches, draw_batch
from ..errors import NotFoundError
from ..evaluation.clip_score import ClipScorer
from ..evaluation.questions import Judge, Question, seen
from ..files import written_whole
from ..masks.mask import NeuronMask
from ..models.pipelines import embedded_name, hidden_progress_bar
from ..prompts import TEMPLATES, fill, reworded
from ..recommended import GUIDANCE_SCALES
from ..settings import Settings
from ..testbed.judge import check_judged, load_judge
from ..testbed.pretrained import FOLDER
from .questions import World, ask

USUAL_CLIP = "openai/clip-vit-large-patch14"
FIRST_SEED = 3_000_000  # far from the seeds that find concepts, and from those of evaluations
MOST_STEPS, MOST_AT_ONCE = 25, 8
MOST_SHOWN = 24  # images in a row of the picture


@dataclass(frozen=True)
class Look:
    """What a judge sees of a concept.

    Attributes:
        concept: its name.
        images: number of images before, and as many after.
        before: number of images before that show the concept; None if there is no judge.
        after: the same afterwards.
        judge: name of the judge; None if there is none.
    """

    concept: str
    images: int
    before: int | None
    after: int | None
    judge: str | None


@dataclass(frozen=True)
class Sight:
    """An image to look at.

    Attributes:
        request: the image.
        base: the prompt without the concept.
        question: the question to the embedded model's judge, if it knows the concept.
    """

    request: Request
    base: str
    question: Question | None = None


class Check:
    """A look at `number` images of each concept."""

    def __init__(
        self,
        pipe: DiffusionPipeline,
        concepts: Sequence[Concept],
        number: int,
        *,
        clip: str | None = None,
        call: Mapping[str, Any] | None = None,
    ) -> None:
        """Chooses the prompts and loads the judge.

        Args:
            pipe: the pipeline.
            concepts: the concepts.
            number: number of images of each, at least 1.
            clip: folder or repository of a CLIP. None takes the embedded model's, or the usual one if it is here.
            call: further arguments of the pipeline, as for finding.

        Raises:
            FileNotFoundError: if there is no such CLIP on this machine.
        """
        self.pipe, self.call = pipe, call or {}
        self.embedded = embedded_name(pipe)
        check_judged(pipe)
        self.judge: Judge | None = load_judge() if self.embedded else None
        self.sights = {concept.name: self._sights(concept, number) for concept in concepts}
        needs_clip = clip is not None or any(one.question is None for own in self.sights.values() for one in own)
        self.clip = local_clip(clip, pipe, self.embedded) if needs_clip else None

    def run(
        self, mask: NeuronMask, settings: Settings, picture: Path, guidance_scale: float | None = None
    ) -> list[Look]:
        """Generates the images before and after, judges them, and writes a picture that shows them.

        Args:
            mask: the mask, which is not applied.
            settings: those that found the mask. Images take as many denoising steps, but at most 25.
            picture: the file to write.
            guidance_scale: classifier-free guidance. None takes the one recommended for the model, or else the
                pipeline's usual one.
        """
        drawing = Drawing(
            min(MOST_STEPS, settings.num_inference_steps),
            GUIDANCE_SCALES.get(self.embedded) if guidance_scale is None else guidance_scale,
            min(MOST_AT_ONCE, settings.batch_size),
        )
        requests = [sight.request for own in self.sights.values() for sight in own]
        with (
            hidden_progress_bar(self.pipe),
            tqdm(total=2 * len(requests), desc="Checking", unit="image") as bar,
        ):
            before = self._draw(requests, drawing, bar)
            with mask.applied(self.pipe):
                after = self._draw(requests, drawing, bar)
        columns = [
            Column(request.prompt, [one, two]) for request, one, two in zip(requests, before, after, strict=True)
        ]
        with written_whole(picture) as partial:
            comparison_figure(columns[:MOST_SHOWN], ["before", "after"]).save(partial, format="PNG")
        looks, start = [], 0
        for name, own in self.sights.items():
            stop = start + len(own)
            looks.append(self._look(name, own, before[start:stop], after[start:stop]))
            start = stop
        return looks

    def _draw(self, requests: Sequence[Request], drawing: Drawing, bar: "tqdm[Any]") -> list[Image.Image]:
        images: list[Image.Image] = []
        for batch in batches(requests, drawing):
            images += draw_batch(self.pipe, requests[batch.start : batch.stop], drawing, call=self.call)
            bar.update(len(batch))
        return images

    def _look(
        self, name: str, sights: Sequence[Sight], before: Sequence[Image.Image], after: Sequence[Image.Image]
    ) -> Look:
        questions = [sight.question for sight in sights if sight.question is not None]
        counts: list[int | None] = [None, None]
        judge = None
        if self.judge is not None and len(questions) == len(sights):
            judge = self.judge.identity["name"]
            for i, images in enumerate((before, after)):
                answers = seen(questions, self.judge.answer(images))
                counts[i] = sum(own.answer == said for own, said in zip(questions, answers, strict=True))
        elif self.clip is not None:
            judge = self.clip.identity["name"]
            texts = [self.clip.texts([sight.request.prompt for sight in sights])]
            texts.append(self.clip.texts([sight.base for sight in sights]))
            for i, images in enumerate((before, after)):
                embedded = self.clip.images(images)
                concept, base = (self.clip.similarities(embedded, text) for text in texts)
                counts[i] = sum(one > other for one, other in zip(concept, base, strict=True))
        return Look(name, len(sights), counts[0], counts[1], judge)

    def _sights(self, concept: Concept, number: int) -> list[Sight]:
        """Returns the images of a concept: from the embedded model's world, or else held-out prompts of its kind."""
        if self.embedded:
            world = World(number, number, number, seed=FIRST_SEED)
            questions = [own for own in ask(world, [concept], ()) if own.group == "forgotten"]
            if questions:
                spread = questions[:: max(1, len(questions) // number)][:number]
                return [Sight(own.request, "", own) for own in spread]
        texts = held_out_prompts(concept)
        return [
            Sight(Request(texts[i % len(texts)][0], FIRST_SEED + i), texts[i % len(texts)][1]) for i in range(number)
        ]


def held_out_prompts(concept: Concept) -> list[tuple[str, str]]:
    """Returns pairs of prompts with and without a concept, in other words than those that find it, last words first."""
    if concept.prompts:
        return [(reworded(prompt), reworded(base)) for prompt, base in reversed(concept.prompts)]
    templates, base, slots = TEMPLATES[concept.kind]
    return [
        (reworded(fill(templates[0], concept=concept.name, slot=slot)), reworded(fill(base, slot=slot)))
        for slot in reversed(slots)
    ]


def local_clip(model: str | None, pipe: DiffusionPipeline, embedded: str) -> ClipScorer | None:
    """Returns a CLIP that is on this machine, or None if no model is given and the usual one is not here.

    Raises:
        FileNotFoundError: if a model is given that is not here, or is no CLIP.
    """
    name = model
    if name is None:
        name = str(FOLDER / "clip") if embedded else USUAL_CLIP
    try:
        folder = name if name and Path(name).is_dir() else snapshot_download(name, local_files_only=True)
        return ClipScorer(folder, pipe.device)
    except (OSError, ValueError, HFValidationError) as error:
        if model is None:
            return None
        reason = str(error).strip().partition("\n")[0]
        raise NotFoundError(
            f"There is no CLIP {model!r} on this machine ({reason}). Give its folder, or leave --clip out and "
            "look at the images."
        ) from None


def verdict(look: Look, concept: Concept, mask: NeuronMask, spatial_ratio: float) -> str:
    """Returns what a look says about a concept, and what to change if it is not gone.

    Args:
        look: what the judge sees.
        concept: the concept.
        mask: the mask.
        spatial_ratio: r2 with which the concept was found.
    """
    if look.before is None or look.after is None:
        return f"{look.concept}: there is no judge here, so look at the picture."
    seen_text = f"still in {look.after} of {look.images} images (before: {look.before})"
    if look.before == 0:
        return (
            f"{look.concept}: in 0 of {look.images} images before, so this tells nothing. Does the model draw it under "
            "this name?"
        )
    if look.after == 0:
        return f"{look.concept}: {seen_text}."
    name = f"'{concept.name}'" if set(concept.name) & set(",:|#") else concept.name
    larger = f"{name}:{concept.kind}:{min(1.0, 2 * spatial_ratio):g}"
    remedies = [f'a larger r2 of its own, "{larger}"']
    if mask.rewriting is not None:
        remedies.append(f"--retain-weight {mask.rewriting.retain_weight / 2:g}")
    elif mask.number_spared:
        remedies.append("--agnostic-ratio 1.01, which spares nothing")
    return f"{look.concept}: {seen_text}. Try {', or '.join(remedies)}."
