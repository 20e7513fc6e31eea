"""The command line: `fia forget`, `apply`, `generate`, `show` and `testbed`.

Every command is a dataclass whose fields are its flags; those of `Settings`, `DemoConfig` and `TrainingRecipe` are
taken over, so that a default and its explanation are written once.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import diffusers
import transformers
import tyro
from PIL import Image
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

from .concepts import Concept, preset
from .evaluation import generate_images
from .evaluation.figure import Column, comparison_figure
from .loading import load_pipeline
from .mask import NeuronMask
from .report import describe, describe_json
from .settings import Settings
from .testbed.commands import TestbedCommand
from .unlearn import forget

Model = Annotated[Positional[str], arg(metavar="MODEL")]


def parse_concept(text: str) -> str | Concept:
    """Returns the concept that NAME:KIND stands for, or NAME alone.

    Raises:
        ValueError: for an unknown kind.
    """
    name, colon, kind = text.rpartition(":")
    return Concept(name, kind) if colon else text  # type: ignore[arg-type]


@dataclass
class Place:
    """Where a model runs."""

    device: str = "auto"
    """auto takes a GPU where there is one; or cpu, cuda, cuda:1, mps."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """auto takes float16 on a GPU, float32 elsewhere."""


@dataclass
class Forget:
    """Finds the mask that makes a model forget concepts, and writes it to a folder.

    Examples:
      fia forget testbed church "golf ball" --out masks/two
      fia forget stable-diffusion-v1-5/stable-diffusion-v1-5 "Van Gogh:style" --out masks/van-gogh
      fia forget ./my-model --preset imagenette --out masks/imagenette
    """

    model: Model
    """testbed, a diffusers folder, or the id of a repository on the Hub."""
    concepts: Annotated[Positional[tuple[str, ...]], arg(metavar="CONCEPT...")]
    """Names, each with its kind where it is no object: church, "Van Gogh:style", "naked:explicit"."""
    out: Path
    """Folder for the mask."""
    preset: Literal["imagenette", "explicit", "artists"] | None = None
    """The paper's concepts, with its ratio for each, in addition to those named."""
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)
    place: OmitArgPrefixes[Place] = field(default_factory=Place)
    json: bool = False
    """Print what the mask holds as JSON."""

    def run(self) -> None:
        concepts = [*map(parse_concept, self.concepts), *(preset(self.preset) if self.preset else ())]
        pipe = load_pipeline(self.model, device=self.place.device, dtype=self.place.dtype)
        mask = forget(pipe, concepts, self.settings)
        mask.save_pretrained(self.out)
        print(json.dumps(describe_json(mask), indent=2) if self.json else f"{describe(mask)}\n\nWritten to {self.out}")


@dataclass
class Apply:
    """Writes a copy of a model that has forgotten: a diffusers folder that any tool can load.

    Example: fia apply testbed masks/two --out models/testbed-without-two
    """

    model: Model
    """testbed, a diffusers folder, or the id of a repository on the Hub."""
    mask: Annotated[Positional[str], arg(metavar="MASK")]
    """Folder of the mask, or the id of a repository on the Hub."""
    out: Path
    """Folder for the edited model; it must not exist yet."""
    place: OmitArgPrefixes[Place] = field(default_factory=Place)

    def run(self) -> None:
        if self.out.exists():
            raise ValueError(f"{self.out} exists already; give a new folder, or delete it first.")
        mask = NeuronMask.from_pretrained(self.mask)
        pipe = load_pipeline(self.model, device=self.place.device, dtype=self.place.dtype)
        mask.apply(pipe)
        partial = self.out.with_name(self.out.name + ".partial")
        pipe.save_pretrained(partial)
        partial.replace(self.out)
        print(f"{self.model} without {', '.join(mask.concepts)} is in {self.out}")


@dataclass
class Generate:
    """Draws prompts with a model, and with a mask also what becomes of them, from the same seeds.

    Example: fia generate testbed "a church in a forest" "a cat on a beach" --mask masks/two --seeds 0 1 --out pictures
    """

    model: Model
    """testbed, a diffusers folder, or the id of a repository on the Hub."""
    prompts: Annotated[Positional[tuple[str, ...]], arg(metavar="PROMPT...")]
    """What to draw."""
    out: Path
    """Folder for the pictures, numbered by prompt and seed, before and after, and comparison.png with all of them."""
    mask: str | None = None
    """Folder of the mask, or the id of a repository on the Hub."""
    seeds: tuple[int, ...] = (0,)
    """Seeds to draw every prompt from."""
    num_inference_steps: int = 50
    """Denoising steps."""
    guidance_scale: float = 7.5
    """Classifier-free guidance."""
    batch_size: int = 8
    """Images drawn at a time."""
    place: OmitArgPrefixes[Place] = field(default_factory=Place)

    def run(self) -> None:
        if not self.prompts:
            raise ValueError("No prompt was given; name at least one thing to draw.")
        mask = NeuronMask.from_pretrained(self.mask) if self.mask else None
        pipe = load_pipeline(self.model, device=self.place.device, dtype=self.place.dtype)
        prompts = [prompt for prompt in self.prompts for _ in self.seeds]
        seeds = [seed for _ in self.prompts for seed in self.seeds]

        def draw(state: str) -> list[Image.Image]:
            return generate_images(
                pipe,
                prompts,
                seeds,
                num_inference_steps=self.num_inference_steps,
                guidance_scale=self.guidance_scale,
                batch_size=self.batch_size,
                description=f"Drawing: {state}",
            )

        states = {"before": draw("before")}
        if mask is not None:
            with mask.applied(pipe):
                states["after"] = draw("after")
        self.out.mkdir(parents=True, exist_ok=True)
        for state, images in states.items():
            for i, image in enumerate(images):
                image.save(self.out / f"prompt{i // len(self.seeds)}-seed{seeds[i]}-{state}.png")
        columns = [
            Column(f"{prompt} ({seed})", [images[i] for images in states.values()])
            for i, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
        ]
        comparison_figure(columns, list(states)).save(self.out / "comparison.png")
        print(f"{len(prompts) * len(states)} pictures, and comparison.png, are in {self.out}")


@dataclass
class Show:
    """Shows what a mask holds: concepts, layers, counts, sparsity and settings.

    Example: fia show masks/two
    """

    mask: Annotated[Positional[str], arg(metavar="MASK")]
    """Folder of the mask, or the id of a repository on the Hub."""
    json: bool = False
    """Print it as JSON."""

    def run(self) -> None:
        mask = NeuronMask.from_pretrained(self.mask)
        print(json.dumps(describe_json(mask), indent=2) if self.json else describe(mask))


@dataclass
class Testbed:
    """The embedded model: retrain it, look at it, see it forget."""

    command: OmitSubcommandPrefixes[TestbedCommand]

    def run(self) -> None:
        self.command.run()


Command = (
    Annotated[Forget, subcommand("forget")]
    | Annotated[Apply, subcommand("apply")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Testbed, subcommand("testbed")]
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns 0, 1 for an error that is explained, or 130 where it was interrupted."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    diffusers.logging.disable_progress_bar()
    description = "Makes text-to-image diffusion models forget concepts, without training."
    command = tyro.cli(Command, prog="fia", args=arguments, description=description)
    try:
        command.run()
    except (ValueError, TypeError, OSError) as error:
        print(f"fia: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fia: interrupted; nothing was left half-written.", file=sys.stderr)
        return 130
    return 0
