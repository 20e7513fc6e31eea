"""`fia forget`: finds a mask, in one process or several, or estimates what that takes."""

import json
import shlex
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from tyro.conf import OmitArgPrefixes

from ..bench.check import Check, verdict
from ..concepts import as_concepts, preset
from ..errors import FIAError, UsageError
from ..finding.dry_run import estimate
from ..finding.plan import plan_finding
from ..finding.run import find_planned
from ..loading import Runtime
from ..masks.describe import describe, describe_effects, describe_json
from ..masks.file import check_folder
from ..masks.mask import NeuronMask
from ..models.pipelines import without_safety_checker
from ..processes import processes
from ..recommended import REWRITTEN
from ..settings import Settings
from .arguments import Concepts, File, Folder, Json, Model, SettingsFlags, concepts_in, given
from .concepts_file import read_concepts
from .terminal import told_to_continue


@dataclass
class Forget:
    """Finds the mask that makes a model forget concepts, and saves it.

    Examples:
      fia forget testbed church "golf ball" --out masks/two
      fia forget testbed zebra --keep horse --check 4 --out masks/zebra
      fia forget stable-diffusion-v1-5/stable-diffusion-v1-5 "Van Gogh:style" --out masks/van-gogh
      fia forget ./my-model church:0.1 "Van Gogh:style:0.03" --concepts-file concepts.txt --out masks/list
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
    concepts_file: File | None = None
    """A text file of concepts to forget in addition: one on each line, written as here. Empty lines and what follows a
    # are left out."""
    preset: Literal["imagenette", "explicit", "artists"] | None = None
    """Concepts of the paper to forget in addition, with the paper's ratios. The settings below do not change these."""
    keep: tuple[str, ...] = ()
    """Names that the model must go on drawing, such as neighbours of a concept; kinds as for concepts. A list of common
    things is kept without being named."""
    height: int | None = None
    """Height of the images while finding, in pixels; by default the model's usual one."""
    width: int | None = None
    """Width of the images while finding, in pixels; by default the model's usual one."""
    settings: OmitArgPrefixes[SettingsFlags] = field(default_factory=SettingsFlags)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    check: int = 0
    """Generate this many images of each concept before and after, from other prompts and seeds, and say whether it is
    gone. A picture shows them."""
    clip: str | None = None
    """CLIP that judges these images: a folder, or a repository that is on this machine; by default OpenAI's ViT-L/14 if
    it is. The embedded model has its own judge."""
    replace: bool = False
    """Replace a mask that is there already."""
    dry_run: bool = False
    """Only estimate the denoiser calls, the time and the memory, and write nothing."""
    json: Json = False

    def run(self) -> None:
        if self.check < 0:
            raise UsageError(f"--check {self.check}: the number of images must be at least 0.")
        options = given(self.settings)
        mode = Settings(**options).mode  # refuses values out of range before the model is loaded
        named = concepts_in(self.concepts)
        named += read_concepts(self.concepts_file) if self.concepts_file else []
        named += preset(self.preset) if self.preset else ()
        concepts = as_concepts(named, mode)
        out = self.out.resolve()
        check_folder(out, replaces=self.replace or self.dry_run)
        share = processes()
        keep = concepts_in(self.keep)
        call = {name: getattr(self, name) for name in ("height", "width") if getattr(self, name) is not None}
        plan = plan_finding(self.runtime.load(self.model), concepts, keep=keep, call=call, **options)
        if self.dry_run:
            taken = estimate(plan, share.num_processes)
            if share.is_main_process:
                print(json.dumps(asdict(taken), indent=2) if self.json else taken.as_text())
            return
        checked = [concept for concept, _ in plan.pairs]
        check = Check(plan.pipe, checked, self.check, clip=self.clip, call=call) if self.check else None
        unfinished = out.with_name(out.name + ".unfinished")
        with told_to_continue(unfinished):
            mask = find_planned(plan, unfinished=unfinished, processes=share)
        if share.is_main_process:
            save(mask, out)
            if unfinished.exists():
                shutil.rmtree(unfinished)
            looks, lines = [], []
            if check is not None:
                picture = out.with_name(f"{out.name}-check.png")
                without_safety_checker(plan.pipe)
                looks = check.run(mask, plan.settings, picture, options.get("guidance_scale"))
                for look, concept in zip(looks, checked, strict=True):
                    lines.append(verdict(look, concept, mask, plan.spatial_ratio(concept)))
                lines.append(f"The images are in {self.out.with_name(picture.name)}")
            used = settings_used(self.model, mode, options)
            parts = (f"{describe(mask)}\n", describe_effects(mask), *lines, used, f"The mask is in {self.out}")
            facts = describe_json(mask) | ({"check": list(map(asdict, looks))} if looks else {})
            print(json.dumps(facts, indent=2) if self.json else "\n".join(filter(None, parts)))


def save(mask: NeuronMask, out: Path) -> None:
    """Saves a mask. If its folder cannot be written any more, saves it elsewhere, so that nothing is lost.

    Raises:
        FIAError: if it is elsewhere; it says where.
    """
    try:
        mask.save_pretrained(out)
    except (OSError, UsageError) as error:
        elsewhere = mkdtemp(prefix="fia-mask-")
        mask.save_pretrained(elsewhere)
        raise FIAError(
            f"The mask cannot be saved to {out} ({error}) It is in {elsewhere}; move it from there."
        ) from None


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
