"""`fia harden`."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, arg

from ..attacks.harden import harden, text
from ..attacks.interface import Attack
from ..attacks.inversion import Inversion
from ..attacks.run import Extent
from ..attacks.unlearn_diff_atk import UnlearnDiffAtk
from ..drawing.images import Drawing
from ..evaluation.build import Sources
from ..loading import Runtime
from ..masks.file import check_folder
from ..masks.mask import NeuronMask
from ..models.pipelines import without_safety_checker
from ..processes import processes
from .arguments import MASK, Folder, Json, Model
from .forget import save
from .terminal import told_to_continue


@dataclass
class Harden:
    """Attacks a mask, and finds it again with what the attack found.

    Each round attacks with the same budget, prompts and seeds, and finds again what came back. It stops when an attack
    gains nothing. The mask that the attack brings least back from is saved; the images, the masks of all rounds and
    harden.json are in a folder beside it. If you start it again, it continues. Under torchrun, processes share the
    work.

    Examples:
      fia harden testbed --mask masks/two --out masks/hard
      fia harden testbed --mask masks/two --out masks/hard --rounds 3 --inversion.steps 200 --inversion.pictures 8
      fia harden ./my-model --mask masks/two --out masks/hard --attack unlearn-diff-atk
    """

    model: Model
    mask: Annotated[str, arg(metavar="MASK", help=MASK)]
    out: Folder
    """Where to save the new mask."""
    rounds: int = 2
    """How often to find again. It stops earlier if the attack gains nothing."""
    attack: Literal["inversion", "unlearn-diff-atk"] = "inversion"
    """The attack (docs/attacks.md)."""
    inversion: Inversion = field(default_factory=Inversion)
    unlearn_diff_atk: UnlearnDiffAtk = field(default_factory=UnlearnDiffAtk)
    extent: OmitArgPrefixes[Extent] = field(default_factory=Extent)
    drawing: OmitArgPrefixes[Drawing] = field(default_factory=Drawing)
    classifier: str = "microsoft/resnet-50"
    """Classifier of objects for any model but the embedded one: a folder, or a repository on the Hub."""
    clip: str = "openai/clip-vit-large-patch14"
    """CLIP that judges styles for any model but the embedded one: a folder, or a repository on the Hub."""
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    replace: bool = False
    """Replace a mask that is there already."""
    json: Json = False

    def run(self) -> None:
        out = self.out.resolve()
        check_folder(out, replaces=self.replace)
        mask = NeuronMask.from_pretrained(self.mask)
        chosen: Attack = self.inversion if self.attack == "inversion" else self.unlearn_diff_atk
        record = out.with_name(f"{out.name}-attacks")
        with told_to_continue(record):
            hardened = harden(
                without_safety_checker(self.runtime.load(self.model)),
                mask,
                chosen,
                rounds=self.rounds,
                out=record,
                extent=self.extent,
                drawing=self.drawing,
                sources=Sources(classifier=self.classifier, clip=self.clip),
            )
        if processes().is_main_process:
            save(hardened.mask, out)
            places = f"The mask is in {self.out}, and everything else in {self.out.with_name(record.name)}"
            print(json.dumps(hardened.rounds, indent=2) if self.json else f"\n{text(hardened.rounds)}\n\n{places}")
