"""`fia forget`: finds a mask, in one process or several, or estimates what that takes."""

import json
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tyro.conf import OmitArgPrefixes

from ..concepts import as_concepts, parse_concept, preset
from ..finding.dry_run import estimate
from ..finding.plan import plan_finding
from ..finding.run import find_planned
from ..loading import Runtime
from ..masks.describe import describe, describe_effects, describe_json
from ..masks.file import check_folder
from ..processes import processes
from ..recommended import REWRITTEN
from ..settings import Settings
from .arguments import Concepts, Folder, Json, Model, SettingsFlags, given


@dataclass
class Forget:
    """Finds the mask that makes a model forget concepts, and saves it.

    Examples:
      fia forget testbed church "golf ball" --out masks/two
      fia forget testbed zebra --keep horse --out masks/zebra
      fia forget stable-diffusion-v1-5/stable-diffusion-v1-5 "Van Gogh:style" --out masks/van-gogh
      fia forget ./my-model --preset imagenette --out masks/imagenette
      fia forget ./my-model --preset imagenette --out masks/imagenette --dry-run
      torchrun --nproc-per-node 4 -m fia forget ./my-model --preset imagenette --out masks/imagenette

    After an interruption, the same command continues. Under torchrun (or accelerate launch), the processes share the
    concepts. They may run on several GPUs and machines, and must see the same folder.
    """

    model: Model
    concepts: Concepts
    out: Folder
    """Where to save the mask."""
    preset: Literal["imagenette", "explicit", "artists"] | None = None
    """Concepts of the paper to forget in addition, with the paper's ratios. The settings below do not change these."""
    keep: tuple[str, ...] = ()
    """Names that the model must go on drawing, such as neighbours of a concept; kinds as for concepts. A list of common
    things is kept without being named."""
    settings: OmitArgPrefixes[SettingsFlags] = field(default_factory=SettingsFlags)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    dry_run: bool = False
    """Only estimate the denoiser calls, the time and the memory, and write nothing."""
    json: Json = False

    def run(self) -> None:
        options = given(self.settings)
        mode = Settings(**options).mode  # refuses values out of range before the model is loaded
        named = [*map(parse_concept, self.concepts), *(preset(self.preset) if self.preset else ())]
        concepts = as_concepts(named, mode)
        out = self.out.resolve()
        check_folder(out)
        share = processes()
        keep = list(map(parse_concept, self.keep))
        plan = plan_finding(self.runtime.load(self.model), concepts, keep=keep, **options)
        if self.dry_run:
            taken = estimate(plan, share.num_processes)
            if share.is_main_process:
                print(json.dumps(asdict(taken), indent=2) if self.json else taken.as_text())
            return
        unfinished = out.with_name(out.name + ".unfinished")
        try:
            mask = find_planned(plan, unfinished=unfinished, processes=share)
        except KeyboardInterrupt:
            if unfinished.exists():
                print(
                    f"What it found so far is in {unfinished}. The same command continues from there.",
                    file=sys.stderr,
                )
            raise
        if share.is_main_process:
            mask.save_pretrained(out)
            if unfinished.exists():
                shutil.rmtree(unfinished)
            used = settings_used(self.model, mode, options)
            effects = describe_effects(mask)
            written = "\n".join(filter(None, (f"{describe(mask)}\n", effects, used, f"The mask is in {self.out}")))
            print(json.dumps(describe_json(mask), indent=2) if self.json else written)


def settings_used(model: str, mode: str, options: dict[str, Any]) -> str:
    """Returns a line that says where the settings are from, and where to read about them.

    Args:
        model: its name.
        mode: of the settings.
        options: what was given on the command line.
    """
    of_mode = {"paper": "the paper's", "authors-code": "those of the authors' code"}
    source = of_mode.get(mode, f"recommended for {model}" if model in REWRITTEN else "the defaults")
    flags = " ".join(
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(str(value))}")
        for name, value in options.items()
    )
    return f"Settings: {source}{', except ' if flags else ''}{flags}. docs/recommended.md has them for every case."
