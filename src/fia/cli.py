"""The command line: one dataclass a command, and `main`, which runs the one that was asked for.

Every command is a dataclass whose fields are its flags; those of `Settings`, `DemoConfig` and `TrainingRecipe` are
taken over, so that a default and its explanation are written once.
"""

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import diffusers
import transformers
import tyro
from PIL import Image
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

from . import __version__
from .commands.apply import Apply
from .commands.bench import BenchCommand
from .commands.evaluate import Evaluate
from .commands.forget import Forget
from .commands.layers import Layers
from .commands.library import LibraryCommand
from .commands.serve import Serve
from .commands.show import Publish, Show
from .commands.testbed import TestbedCommand
from .concepts import as_concepts, parse_concept
from .drawing.figure import Column, comparison_figure
from .evaluation import generate_images
from .finding.stability import measure_stability
from .loading import Runtime
from .masks.mask import NeuronMask
from .settings import Settings

Model = Annotated[Positional[str], arg(metavar="MODEL")]


@dataclass
class Generate:
    """Draws prompts with a model, and with a mask also what becomes of them, from the same seeds.

    Example: fia generate testbed "a church in a forest" "a cat on a beach" --mask masks/two --seeds 0 1 --out pictures
    """

    model: Model
    """testbed, a diffusers folder, a single-file checkpoint (.safetensors), or the id of a repository on the Hub."""
    prompts: Annotated[Positional[tuple[str, ...]], arg(metavar="PROMPT...")]
    """What to draw."""
    out: Path
    """Folder for the pictures, numbered by prompt and seed, before and after, and comparison.png with all of them."""
    mask: str | None = None
    """Folder of the mask, or the id of a repository on the Hub."""
    check_weights: bool = True
    """Refuse a model with other weights than those the mask was found in, such as a fine-tuned one."""
    seeds: tuple[int, ...] = (0,)
    """Seeds to draw every prompt from."""
    num_inference_steps: int = 50
    """Denoising steps."""
    guidance_scale: float = 7.5
    """Classifier-free guidance."""
    batch_size: int = 8
    """Images drawn at a time."""
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: bool = False
    """Print the pictures' names as JSON."""

    def run(self) -> None:
        if not self.prompts:
            raise ValueError("No prompt was given; name at least one thing to draw.")
        mask = NeuronMask.from_pretrained(self.mask) if self.mask else None
        pipe = self.runtime.load(self.model)
        prompts = [prompt for prompt in self.prompts for _ in self.seeds]
        seeds = [seed for _ in self.prompts for seed in self.seeds]
        written: list[str] = []

        def draw(state: str) -> list[Image.Image]:
            images = generate_images(
                pipe,
                prompts,
                seeds,
                num_inference_steps=self.num_inference_steps,
                guidance_scale=self.guidance_scale,
                batch_size=self.batch_size,
                description=f"Drawing: {state}",
            )
            for i, image in enumerate(images):
                path = self.out / f"prompt{i // len(self.seeds)}-seed{seeds[i]}-{state}.png"
                image.save(path)
                written.append(str(path))
            return images

        self.out.mkdir(parents=True, exist_ok=True)
        states = {}
        if mask is not None:
            with mask.applied(pipe, check_weights=self.check_weights):
                states["after"] = draw("after")
        states = {"before": draw("before")} | states
        columns = [
            Column(f"{prompt} ({seed})", [images[i] for images in states.values()])
            for i, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
        ]
        comparison_figure(columns, list(states)).save(self.out / "comparison.png")
        message = f"{len(written)} pictures, and comparison.png, are in {self.out}"
        print(json.dumps({"pictures": sorted(written)}) if self.json else message)


@dataclass
class StabilityCommand:
    """Tells how many prompts a concept needs: would other prompts, seeds or base prompts find the same neurons?

    For each number n, every concept is found with n prompts, with n others from other seeds, and with the first n on
    other base prompts. What the findings share is printed, beside what chance would give.

    Example: fia stability testbed church "golf ball" --prompts 1 2 4 8
    """

    model: Model
    """testbed, a diffusers folder, a single-file checkpoint (.safetensors), or the id of a repository on the Hub."""
    concepts: Annotated[Positional[tuple[str, ...]], arg(metavar="CONCEPT...")]
    """Names, each with its kind where it is no object: church, "Van Gogh:style"."""
    prompts: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of prompts in each half."""
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> None:
        concepts = as_concepts(map(parse_concept, self.concepts), self.settings.mode)
        pipe = self.runtime.load(self.model)
        rows = measure_stability(pipe, concepts, self.prompts, self.settings)
        if self.json:
            print(json.dumps([asdict(row) for row in rows], indent=2))
            return
        print(f"\n{'prompts':>7}{'neurons shared with other prompts, %':>38}{'other bases, %':>18}{'chance, %':>12}")
        for row in rows:
            print(f"{row.prompts:>7}{row.other_prompts:>38.1f}{row.other_bases:>18.1f}{row.by_chance:>12.1f}")


@dataclass
class LibraryCommands:
    """A folder of masks of one concept each, and the policies composed from them."""

    command: OmitSubcommandPrefixes[LibraryCommand]

    def run(self) -> None:
        self.command.run()


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
    | Annotated[Layers, subcommand("layers")]
    | Annotated[LibraryCommands, subcommand("library")]
    | Annotated[Publish, subcommand("publish")]
    | Annotated[StabilityCommand, subcommand("stability")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[BenchCommand, subcommand("bench")]
    | Annotated[Serve, subcommand("serve")]
    | Annotated[Testbed, subcommand("testbed")]
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns 0, 1 for an error that is explained, or 130 where it was interrupted."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    description = "Makes text-to-image diffusion models forget concepts, without training."
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        print(__version__)
        return 0
    command = tyro.cli(Command, prog="fia", args=arguments, description=description)
    try:
        command.run()
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"fia: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fia: interrupted.", file=sys.stderr)
        return 130
    return 0
