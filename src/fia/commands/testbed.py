"""`fia testbed ...`: train, demo and sheet."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes

from ..bench.demo import DEMO_SETTINGS, DemoConfig, run_demo, summary
from ..bench.sheet import draw_sheet
from ..settings import Settings
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE, Architecture
from ..testbed.recipe import TrainingRecipe
from ..testbed.train import train_testbed


@dataclass
class Train:
    """Trains the embedded model, or its denoiser alone; given the same folder again, it goes on where it stopped.

    Example: fia testbed train --out runs/testbed
    Example: fia testbed train --out runs/quick --no-refine
    Example: fia testbed train --out runs/dit --architecture dit
    Example: fia testbed train --out runs/longer --parts runs/testbed --further --denoiser.images 5000000
    """

    out: Path
    """Folder for the checkpoints and the finished model, CLIP and classifier."""
    recipe: Annotated[TrainingRecipe, tyro.conf.arg(name="")] = field(default_factory=TrainingRecipe)
    parts: Path | None = None
    """Folder of an earlier training to take the autoencoder, CLIP and classifier from, and train the denoiser alone:
    from nothing, or with --further from the one that is there. For a transformer, the package's weights by default."""
    device: str = "auto"
    """Device to train on: auto takes a GPU where there is one."""

    def run(self) -> None:
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        train_testbed(self.out, self.recipe, torch.device(device), self.parts)
        kind = self.recipe.architecture
        print(f"It is in {self.out}; look at it with: fia testbed sheet --weights {self.out} --architecture {kind}")


@dataclass
class Demo:
    """Forgets five of ten objects on the embedded model and shows what became of them and of the rest.

    Example: fia testbed demo --out runs/demo
    """

    out: Path = Path("runs/demo")
    """Folder for result.json, comparison.png and mask/."""
    settings: OmitArgPrefixes[Settings] = DEMO_SETTINGS
    evaluation: DemoConfig = field(default_factory=DemoConfig)
    weights: Path = FOLDER
    """Folder written by `fia testbed train`; the weights of the package by default."""
    json: bool = False
    """Print the result as JSON instead of a table."""

    def run(self) -> None:
        result = run_demo(self.out, self.settings, self.evaluation, self.weights)
        if self.json:
            print(json.dumps(result, indent=2))
            return
        print(f"\n{summary(result)}\n\nThe picture is {self.out / 'comparison.png'}")


@dataclass
class Sheet:
    """Draws every object, person, place and style of the embedded model on one sheet.

    Where the judge sees something else, the label is red, with its answer in brackets.

    Example: fia testbed sheet --out sheet.png
    """

    out: Path = Path("sheet.png")
    """The picture to write."""
    weights: Path = FOLDER
    """Folder written by `fia testbed train`; the weights of the package by default."""
    architecture: Architecture = "unet"
    """Which of its denoisers draws."""
    seed: int = 0
    """Seed of the first image."""
    num_inference_steps: int = 50
    """Denoising steps."""
    guidance_scale: float = GUIDANCE_SCALE
    """Classifier-free guidance."""

    def run(self) -> None:
        sheet, right, number = draw_sheet(
            self.weights,
            self.architecture,
            seed=self.seed,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
        )
        sheet.save(self.out)
        print(f"{right} of {number} pictures recognised; the sheet is {self.out}")


TestbedCommand = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Sheet, tyro.conf.subcommand("sheet")]
)


@dataclass
class Testbed:
    """The embedded model: retrain it, look at it, see it forget."""

    command: OmitSubcommandPrefixes[TestbedCommand]

    def run(self) -> None:
        self.command.run()
