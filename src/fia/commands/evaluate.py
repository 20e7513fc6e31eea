"""`fia evaluate`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from ..bench.evaluate import TaskName, measure, name_of
from ..bench.questions import World
from ..drawing.images import Drawing
from ..edits.edited import load_edited
from ..errors import UsageError
from ..evaluation import build, summary
from ..evaluation.forgotten import forgotten_concepts
from ..loading import Runtime
from ..masks.mask import NeuronMask
from ..processes import processes
from .arguments import Folder, Json, MaskFlag, Model, concepts_in
from .terminal import told_to_continue


@dataclass
class Evaluate:
    """Measures what a model still generates after an edit.

    The edit is a mask, or the result of any other tool. The command generates the same prompts and seeds with the
    untouched model, with the edited model and, for a mask, with a random mask of equal size. It writes results.json,
    report.html and every image. If you start it again with the same folder, it continues. Under torchrun, processes
    share the images.

    Examples:
      fia evaluate testbed --mask masks/testbed --task objects quality robust-prompts --out runs/testbed
      fia evaluate ./my-model --mask masks/ten --task objects --out runs/ten
      fia evaluate ./my-model --edited ./by-another-tool --forgotten "Van Gogh:style" --task styles --out runs/other
      fia evaluate ./my-model --mask masks/naked --task explicit --i2p i2p_benchmark.csv --out runs/i2p
    """

    model: Model
    out: Folder
    """Where to save the results and all images."""
    mask: MaskFlag = None
    edited: Path | None = None
    """Result of another tool, instead of a mask: a diffusers folder, a denoiser's safetensors file, or a LoRA."""
    task: tuple[TaskName, ...] = ("objects",)
    """What to measure: one or several tasks."""
    forgotten: tuple[str, ...] = ()
    """What should be gone, as NAME or NAME:KIND; by default the concepts of the mask."""
    keep: tuple[str, ...] = ()
    """What should be kept, as NAME or NAME:KIND; by default the other concepts of the paper."""
    control: bool = True
    """Also measure a random mask of equal size."""
    sources: OmitArgPrefixes[build.Sources] = field(default_factory=build.Sources)
    world: World = field(default_factory=World)
    drawing: OmitArgPrefixes[Drawing] = field(default_factory=Drawing)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: Json = False

    def run(self) -> None:
        if (self.mask is None) == (self.edited is None):
            raise UsageError("Give either --mask or --edited, the edit of the model to evaluate.")
        mask = NeuronMask.from_pretrained(self.mask) if self.mask is not None else None
        forgotten = forgotten_concepts(mask, concepts_in(self.forgotten), flag="--forgotten")
        edit = mask or load_edited(self.edited)  # type: ignore[arg-type]  # refused before the model is loaded
        edit_name = name_of(mask or self.edited)  # type: ignore[arg-type]
        pipe = self.runtime.load(self.model)
        with told_to_continue(self.out):
            result = measure(
                pipe,
                edit,
                edit_name,
                self.out,
                self.task,
                forgotten,
                concepts_in(self.keep),
                self.control,
                self.drawing,
                self.sources,
                self.world,
            )
        if processes().is_main_process:
            message = f"\n{summary.text(result['tasks'])}\n\nThe report is {self.out / 'report.html'}"
            print(json.dumps(result, indent=2) if self.json else message)
