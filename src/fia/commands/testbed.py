"""`fia testbed ...`: train, demo and sheet."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
from tyro.conf import OmitArgPrefixes, arg

from ..bench.demo import DemoConfig, run_demo, text
from ..bench.sheet import draw_sheet
from ..testbed.pretrained import FOLDER, GUIDANCE_SCALE, Architecture
from ..testbed.recipe import TrainingRecipe
from ..testbed.train import train_testbed
from .arguments import File, Folder, Json, SettingsFlags, given
from .terminal import told_to_continue


@dataclass
class Train:
    """Trains the embedded model, or only its denoiser.

    If you start it again with the same folder, it continues.

    Examples:
      fia testbed train --out runs/testbed
      fia testbed train --out runs/quick --no-refine
      fia testbed train --out runs/dit --architecture dit
      fia testbed train --out runs/never-knew --parts runs/testbed --without church "golf ball" --no-refine
      fia testbed train --out runs/longer --parts runs/testbed --further --denoiser.images 5000000
      fia testbed train --out runs/large --world large --parts testbed-large   # in a checkout
    """

    out: Folder
    """Where to save the checkpoints and the finished model, CLIP and classifier."""
    recipe: Annotated[TrainingRecipe, arg(name="")] = field(default_factory=TrainingRecipe)
    parts: Folder | None = None
    """Folder of an earlier training. Take its autoencoder, CLIP and classifier, and train only the denoiser: from
    scratch, or with --further from the folder's denoiser. For a transformer, and for the large world, the package's
    weights by default; every part of the large world goes on from those."""
    device: str = "auto"
    """Device to train on; auto takes a GPU if there is one."""

    def run(self) -> None:
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        with told_to_continue(self.out):
            train_testbed(self.out, self.recipe, torch.device(device), self.parts)
        kind = self.recipe.architecture
        print(f"The model is in {self.out}. To see it: fia testbed sheet --weights {self.out} --architecture {kind}")


@dataclass
class Demo:
    """Forgets five of ten objects and shows what happens to the rest.

    The embedded model generates every object before and after, and under a random mask of equal size. That takes some
    minutes; if you start it again with the same folder, it continues. `fia testbed demo` is the same.

    Examples:
      fia demo
      fia testbed demo --out runs/demo
    """

    out: Folder = Path("runs/demo")
    """Where to save result.json, comparison.png and mask/."""
    settings: OmitArgPrefixes[SettingsFlags] = field(default_factory=SettingsFlags)
    evaluation: DemoConfig = field(default_factory=DemoConfig)
    weights: Folder = FOLDER
    """Folder that `fia testbed train` wrote; the weights of the package by default."""
    json: Json = False

    def run(self) -> None:
        with told_to_continue(self.out):
            result = run_demo(self.out, self.evaluation, given(self.settings), self.weights)
        if self.json:
            print(json.dumps(result, indent=2))
            return
        print(f"\n{text(result)}\n\nThe picture is {self.out / 'comparison.png'}")


@dataclass
class Sheet:
    """Generates everything the embedded model knows, on one sheet.

    That is every object, person, place and style. If the judge sees something else, the label is red and has the
    judge's answer in brackets.

    Examples:
      fia testbed sheet --out sheet.png
    """

    out: File = Path("sheet.png")
    """Where to save the picture."""
    weights: Folder = FOLDER
    """Folder that `fia testbed train` wrote; the weights of the package by default."""
    architecture: Architecture = "unet"
    """Denoiser that generates."""
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
        print(f"The judge recognises {right} of {number} images. The sheet is {self.out}")
