"""`fia generate`."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from diffusers import DiffusionPipeline
from PIL import Image
from tqdm.auto import tqdm
from tyro.conf import OmitArgPrefixes, Positional, arg

from ..drawing.figure import Column, comparison_figure
from ..drawing.images import Drawing, Request, batches, draw_batch
from ..errors import UsageError
from ..files import written_whole
from ..loading import Runtime
from ..masks.mask import NeuronMask
from ..models.pipelines import hidden_progress_bar
from ..recommended import GUIDANCE_SCALES
from .arguments import Folder, Json, MaskFlag, Model

LARGEST_SEED = 2**64 - 1  # that torch accepts


@dataclass
class Generate:
    """Generates images; with --mask, both before and after forgetting.

    Examples:
      fia generate testbed "a church in a forest" "a cat on a beach" --mask masks/two --seeds 0 1 --out images
      fia generate ./my-model "a church in a forest" --out images --num-inference-steps 30

    Each image is saved as soon as it is generated, so an interruption loses no finished image.
    """

    model: Model
    prompts: Annotated[Positional[tuple[str, ...]], arg(metavar="PROMPT ...")]
    """Prompts to generate."""
    out: Folder
    """Where to save the images, named by prompt, seed and state, and comparison.png, which shows all of them."""
    mask: MaskFlag = None
    check_weights: bool = True
    """Refuse a model whose weights differ from those that the mask was found in, such as a fine-tuned one."""
    seeds: tuple[int, ...] = (0,)
    """Seeds for every prompt."""
    num_inference_steps: int = 50
    """Denoising steps."""
    guidance_scale: float | None = None
    """Classifier-free guidance scale; by default the best one for an embedded model, else the pipeline's usual one."""
    batch_size: int = 8
    """Images generated at a time."""
    autocast: bool = False
    """Multiply in bfloat16, with the weights as they are (torch.autocast). Twice as fast on a processor with AMX,
    and many times slower on one without instructions for bfloat16."""
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: Json = False

    def run(self) -> None:
        drawing = self.check()
        mask = NeuronMask.from_pretrained(self.mask) if self.mask is not None else None
        pipe = self.runtime.load(self.model)
        if drawing.guidance_scale is None:
            drawing = replace(drawing, guidance_scale=GUIDANCE_SCALES.get(self.model))
        states: dict[str, dict[Path, Image.Image]] = {}
        if mask is not None:
            with mask.applied(pipe, check_weights=self.check_weights):
                states["after"] = self.generate(pipe, drawing, "after")
        states = {"before": self.generate(pipe, drawing, "before")} | states
        labels = [f"{prompt} ({seed})" for prompt in self.prompts for seed in self.seeds]
        images = zip(*(own.values() for own in states.values()), strict=True)
        columns = [Column(label, list(column)) for label, column in zip(labels, images, strict=True)]
        save(comparison_figure(columns, list(states)), self.out / "comparison.png")
        written = sorted(str(path) for own in states.values() for path in own)
        message = f"{len(written)} image{'s' * (len(written) > 1)} and comparison.png are in {self.out}"
        print(json.dumps({"pictures": written}) if self.json else message)

    def check(self) -> Drawing:
        """Returns how to generate. Raises ValueError for wrong arguments, before anything is loaded."""
        if not self.prompts:
            raise UsageError("No prompt was given; give at least one.")
        if not self.seeds:
            raise UsageError("--seeds has no seed; give at least one, or leave it out.")
        for seed in self.seeds:
            if not 0 <= seed <= LARGEST_SEED:
                raise UsageError(f"--seeds {seed}: a seed must be between 0 and {LARGEST_SEED}.")
        return Drawing(self.num_inference_steps, self.guidance_scale, self.batch_size, self.autocast)

    def generate(self, pipe: DiffusionPipeline, drawing: Drawing, state: str) -> dict[Path, Image.Image]:
        """Generates the images of a state, saves each at once, and returns them by file, prompt by prompt."""
        requests = {
            self.out / f"prompt{i}-seed{seed}-{state}.png": Request(prompt, seed)
            for i, prompt in enumerate(self.prompts)
            for seed in self.seeds
        }
        files, images = list(requests), {}
        with hidden_progress_bar(pipe), tqdm(total=len(files), desc=f"Generating: {state}", unit="image") as bar:
            for batch in batches(list(requests.values()), drawing):
                own = files[batch.start : batch.stop]
                for file, image in zip(own, draw_batch(pipe, [requests[f] for f in own], drawing), strict=True):
                    save(image, file)
                    images[file] = image
                bar.update(len(own))
        return images


def save(image: Image.Image, file: Path) -> None:
    """Saves an image completely or not at all."""
    with written_whole(file) as partial:
        image.save(partial, format="PNG")
