"""FIA as a technique of the benchmark package eval-unlearn, which finds it by the entry point in pyproject.toml.

This module needs nothing of that package. A technique is made from the config of a run, and generates images.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ..concepts import Concept, parse_concept, preset
from ..drawing.images import generate_images
from ..errors import UsageError
from ..finding.run import find
from ..loading import load_pipeline
from ..masks.mask import NeuronMask
from ..models.pipelines import without_safety_checker


@dataclass
class FIATechnique:
    """A pipeline that forgets concepts, for eval-unlearn. Its fields are the entries of `technique.config`.

    Attributes:
        erase_concept: the concepts to forget, separated by commas, each as NAME or NAME:KIND. "nudity" stands for the
            paper's explicit concepts.
        load_path: folder of a mask to apply. No neurons are found then, and `erase_concept` only goes into the report.
        save_path: folder to which the mask is written after its neurons were found.
        settings: fields of `fia.Settings` to find the neurons with.
        model_id: the model, as commands take MODEL. The default is the model that the package's other techniques edit.
        config: for a single-file checkpoint, a diffusers folder with its configs.
        device: the device. "auto" takes a GPU if there is one.
        use_fp16: whether to use float16 on a GPU. Elsewhere the type is float32.
        num_inference_steps: number of denoising steps.
        guidance_scale: scale of classifier-free guidance.
        batch_size: images generated at a time.

    Raises:
        ValueError: if neither a concept nor a mask is given.
    """

    erase_concept: str | None = None
    load_path: str | None = None
    save_path: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    model_id: str = "CompVis/stable-diffusion-v1-4"
    config: str | None = None
    device: str = "auto"
    use_fp16: bool = True
    num_inference_steps: int = 50
    guidance_scale: float = 7.5
    batch_size: int = 8

    def __post_init__(self) -> None:
        if self.load_path is None and not self.erase_concept:
            raise UsageError(
                f"erase_concept={self.erase_concept!r} and load_path=None: give erase_concept, the concepts to forget, "
                "or load_path, the folder of a mask."
            )
        mask = NeuronMask.from_pretrained(self.load_path) if self.load_path else None
        dtype = "auto" if self.use_fp16 else "float32"
        self.pipe = without_safety_checker(
            load_pipeline(self.model_id, device=self.device, dtype=dtype, config=self.config)
        )
        if mask is None:
            mask = find(self.pipe, _concepts(self.erase_concept or ""), **self.settings)
            if self.save_path:
                mask.save_pretrained(self.save_path)
        mask.apply(self.pipe)

    def generate(self, prompts: Sequence[str], seed: int | None = None, **overrides: Any) -> list[Image.Image]:
        """Returns one image for each prompt.

        Args:
            prompts: what the images should show.
            seed: seed of the first image; the others count up from it. None generates different images each time.
            **overrides: num_inference_steps, guidance_scale or batch_size, in place of the config's.
        """
        first = secrets.randbelow(2**31) if seed is None else seed
        drawing = {name: getattr(self, name) for name in ("num_inference_steps", "guidance_scale", "batch_size")}
        seeds = [first + i for i in range(len(prompts))]
        return generate_images(self.pipe, prompts, seeds, **(drawing | overrides))


def _concepts(text: str) -> list[str | Concept]:
    """Returns the concepts that a config names."""
    names = [name.strip() for name in text.split(",")]
    return [
        concept for name in names for concept in (preset("explicit") if name == "nudity" else [parse_concept(name)])
    ]
