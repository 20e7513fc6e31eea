"""`fia attack`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from diffusers import DiffusionPipeline
from tyro.conf import OmitArgPrefixes

from ..attacks.api import attack, judges_of
from ..attacks.choice import Attacks
from ..attacks.report import text
from ..attacks.run import Extent
from ..attacks.victim import check_attackable
from ..bench.chosen_settings import methods_for
from ..bench.edit_store import OURS, EditStore
from ..bench.tasks import BenchTask
from ..concepts import Concept
from ..drawing.images import Drawing
from ..edits.edited import load_edited
from ..edits.interface import Edit, NoEdit
from ..errors import UsageError
from ..evaluation.build import Sources
from ..evaluation.forgotten import forgotten_concepts
from ..loading import Runtime
from ..masks.mask import NeuronMask
from ..methods import ESD, FIA, RECE, UCE, ConceptPrune, Method
from ..models.pipelines import without_safety_checker
from ..processes import processes
from ..provenance import hash_pipeline
from ..settings import Settings
from ..testbed.pretrained import NAMES
from .arguments import Folder, Json, MaskFlag, Model, concepts_in

# For any model but the embedded one, for which each method has its own settings.
METHODS: dict[str, Method] = {
    OURS: FIA(),
    "FIA": FIA(Settings(edit="zero")),
    "ConceptPrune": ConceptPrune(),
    "UCE": UCE(),
    "RECE": RECE(),
    "ESD-x": ESD("x"),
    "ESD-u": ESD("u"),
}


@dataclass
class AttackCommand:
    """Tests whether concepts are really gone, with the field's attacks.

    The edit is a mask, the result of any other tool, or a method that runs first. Every attack has the same prompts,
    seeds and budget on the untouched model, the edited one, and a random edit of equal size. The command writes
    attack.json, attack.html and every image. If you start it again with the same folder, it continues. Under torchrun,
    processes share the work.

    Examples:
      fia attack testbed --mask masks/two --out runs/attack
      fia attack testbed --mask masks/two --attacks inversion roots --budgets.inversion.steps 500 --out runs/attack
      fia attack ./my-model --edited ./by-another-tool --concepts church --attacks all --out runs/other
      fia attack testbed --method UCE --concepts church "golf ball" --attacks free white --out runs/uce
    """

    model: Model
    out: Folder
    """Where to save the results and all images."""
    mask: MaskFlag = None
    edited: Path | None = None
    """Result of another tool, instead of a mask: a diffusers folder, a denoiser's safetensors file, or a LoRA."""
    method: str | None = None
    """Method that edits the model first, by its name in `fia bench`: "FIA rewritten", FIA (zeros), UCE, ..."""
    keep: tuple[str, ...] = ()
    """Names that the method should keep."""
    concepts: tuple[str, ...] = ()
    """What should be gone, as NAME or NAME:KIND; by default the concepts of the mask."""
    attacks: tuple[str, ...] = ("free",)
    """Groups of attacks (free, text, white, weights, all) and names of attacks (docs/attacks.md)."""
    control: bool = True
    """Also attack a random edit of equal size."""
    never_knew: Path | None = None
    """A model that never knew the concepts, as a further control: a diffusers folder, or a denoiser's file."""
    extent: OmitArgPrefixes[Extent] = field(default_factory=Extent)
    drawing: OmitArgPrefixes[Drawing] = field(default_factory=Drawing)
    classifier: str = "microsoft/resnet-50"
    """Classifier of objects for any model but the embedded one: a folder, or a repository on the Hub."""
    clip: str = "openai/clip-vit-large-patch14"
    """CLIP that judges styles for any model but the embedded one: a folder, or a repository on the Hub."""
    budgets: Attacks = field(default_factory=Attacks)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: Json = False

    def run(self) -> None:
        if sum(given is not None for given in (self.mask, self.edited, self.method)) != 1:
            raise UsageError("Give one of --mask, --edited and --method, the edit to attack.")
        self.budgets.chosen(self.attacks)
        if self.method is not None and self.method not in METHODS:
            raise UsageError(f"There is no method {self.method!r}; give one of: {', '.join(METHODS)}.")
        edit: Edit = NoEdit()
        if self.mask is not None:
            edit = NeuronMask.from_pretrained(self.mask)
        elif self.edited is not None:
            edit = load_edited(self.edited)
        concepts = forgotten_concepts(edit, concepts_in(self.concepts), flag="--concepts")
        never_knew = None if self.never_knew is None else load_edited(self.never_knew)
        pipe = without_safety_checker(self.runtime.load(self.model))
        result = attack(
            pipe,
            edit if self.method is None else self.make(pipe, concepts, self.method),
            concepts,
            self.attacks,
            out=self.out,
            budgets=self.budgets,
            extent=self.extent,
            drawing=self.drawing,
            sources=self.sources,
            control=self.control,
            never_knew=never_knew,
        )
        if processes().is_main_process:
            message = f"\n{text(result['attacks'])}\n\nThe report is {self.out / 'attack.html'}"
            print(json.dumps(result, indent=2) if self.json else message)

    @property
    def sources(self) -> Sources:
        """The judges of any model but the embedded one."""
        return Sources(classifier=self.classifier, clip=self.clip)

    def make(self, pipe: DiffusionPipeline, concepts: list[Concept], method: str) -> Edit:
        """Returns the edit of a method, which is made once and kept in the folder. First checks what can be checked."""
        check_attackable(pipe)
        judges_of(pipe, concepts, self.sources)
        task = BenchTask("attacked", tuple(concepts), self.keep)
        methods = methods_for(task) if self.model in NAMES else METHODS
        return EditStore(self.out / "edits", pipe, task, methods, hash_pipeline(pipe)).make(method).edit
