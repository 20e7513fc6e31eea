"""The command line: one dataclass a command, and `main`, which runs the one that was asked for.

Every command is a dataclass whose fields are its flags; those of `Settings`, `DemoConfig` and `TrainingRecipe` are
taken over, so that a default and its explanation are written once.
"""

import json
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import diffusers
import transformers
import tyro
from PIL import Image
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

from . import __version__
from .bench.command import BenchCommand
from .concepts import as_concepts, parse_concept, preset
from .dry_run import estimate
from .evaluation import generate_images
from .evaluation.command import Evaluate
from .evaluation.figure import Column, comparison_figure
from .export.command import Apply
from .layers_command import Layers
from .library_commands import LibraryCommand
from .loading import Runtime
from .mask import NeuronMask
from .mask_commands import Publish, Show
from .maskfile import check_folder
from .plan import plan_finding
from .processes import processes
from .report import describe, describe_json
from .settings import Settings
from .stability import measure_stability
from .testbed.commands import TestbedCommand
from .unlearn import find_planned
from .web.command import Serve

Model = Annotated[Positional[str], arg(metavar="MODEL")]


@dataclass
class Forget:
    """Finds the mask that makes a model forget concepts, and writes it to a folder.

    Examples:
      fia forget testbed church "golf ball" --out masks/two
      fia forget stable-diffusion-v1-5/stable-diffusion-v1-5 "Van Gogh:style" --out masks/van-gogh
      fia forget ./my-model --preset imagenette --out masks/imagenette
      fia forget ./my-model --preset imagenette --out masks/imagenette --dry-run
      torchrun --nproc-per-node 4 -m fia forget ./my-model --preset imagenette --out masks/imagenette

    An interrupted finding goes on where it was when the same command is given again. Under torchrun (or accelerate
    launch) processes on GPUs and machines that see the same folder share the groups of concepts.
    """

    model: Model
    """testbed, a diffusers folder, a single-file checkpoint (.safetensors), or the id of a repository on the Hub."""
    concepts: Annotated[Positional[tuple[str, ...]], arg(metavar="CONCEPT...")]
    """Names, each with its kind where it is no object: church, "Van Gogh:style", "naked:explicit"."""
    out: Path
    """Folder for the mask."""
    preset: Literal["imagenette", "explicit", "artists"] | None = None
    """The paper's concepts in addition to those named, each with the paper's ratios whatever the settings below."""
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    dry_run: bool = False
    """Say what it would take, in calls of the denoiser, time and memory, and write nothing."""
    json: bool = False
    """Print what the mask holds as JSON, or what the finding would take."""

    def run(self) -> None:
        named = [*map(parse_concept, self.concepts), *(preset(self.preset) if self.preset else ())]
        concepts = as_concepts(named, self.settings.mode)
        check_folder(self.out)
        share = processes()
        plan = plan_finding(self.runtime.load(self.model), concepts, self.settings)
        if self.dry_run:
            taken = estimate(plan, share.num_processes)
            if share.is_main_process:
                print(json.dumps(taken.as_json(), indent=2) if self.json else taken.as_text())
            return
        unfinished = self.out.with_name(self.out.name + ".unfinished")
        try:
            mask = find_planned(plan, unfinished=unfinished, processes=share)
        except KeyboardInterrupt:
            if unfinished.exists():
                print(f"What was found so far is in {unfinished}; the same command goes on.", file=sys.stderr)
            raise
        if share.is_main_process:
            mask.save_pretrained(self.out)
            shutil.rmtree(unfinished)
            written = f"{describe(mask)}\n\nWritten to {self.out}"
            print(json.dumps(describe_json(mask), indent=2) if self.json else written)


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
