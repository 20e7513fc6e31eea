"""`fia forget`: finds a mask, alone or as one of several processes, or says what that would take."""

import json
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from ..concepts import as_concepts, parse_concept, preset
from ..finding.dry_run import estimate
from ..finding.plan import plan_finding
from ..finding.run import find_planned
from ..loading import Runtime
from ..masks.describe import describe, describe_json
from ..masks.file import check_folder
from ..processes import processes
from ..settings import Settings


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

    model: Annotated[Positional[str], arg(metavar="MODEL")]
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
        out = self.out.resolve()
        check_folder(out)
        share = processes()
        plan = plan_finding(self.runtime.load(self.model), concepts, self.settings)
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
                print(f"What was found so far is in {unfinished}; the same command goes on.", file=sys.stderr)
            raise
        if share.is_main_process:
            mask.save_pretrained(out)
            if unfinished.exists():
                shutil.rmtree(unfinished)
            written = f"{describe(mask)}\n\nWritten to {self.out}"
            print(json.dumps(describe_json(mask), indent=2) if self.json else written)
