"""Makes each edit of a task once and stores it, so that an interrupted or shared run continues with the same edits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file

from ..edits.interface import Edit, NoEdit
from ..edits.weight_edit import WeightEdit
from ..evaluation.run import RANDOM, UNTOUCHED, Evaluation, MadeEdit, State
from ..evaluation.tasks import Task
from ..files import claim, read_json, slug, write_json, written_whole
from ..masks.mask import NeuronMask
from ..masks.random_control import random_mask
from ..methods import Method
from ..processes import processes
from .cost import CostMeter
from .tasks import BenchTask

OURS = "FIA rewritten"  # the control has the size of its mask


@dataclass(frozen=True)
class EditStore:
    """The edits of every method for one task.

    Attributes:
        folder: folder for masks and weights.
        pipe: the model.
        task: what to forget.
        methods: the methods by name.
        model: hash of the model.
    """

    folder: Path
    pipe: DiffusionPipeline
    task: BenchTask
    methods: Mapping[str, Method]
    model: str

    def made_with(self, name: str) -> dict[str, object]:
        """Returns everything that an edit depends on."""
        method = self.methods.get(OURS if name == RANDOM else name)
        return {
            "method": name,
            "settings": asdict(method) if method is not None else {},
            "concepts": [asdict(concept) for concept in self.task.concepts],
            "keep": self.task.keep,
            "model": self.model,
        }

    def make(self, name: str) -> MadeEdit:
        """Returns the edit of a method or a control.

        With several processes, the main one makes it, and the others wait and read it.

        Raises:
            ValueError: if the folder holds another edit in its place.
        """
        if name == UNTOUCHED:
            return MadeEdit(NoEdit())
        if name == RANDOM:
            return MadeEdit(random_mask(self.mask()))
        kept = self.folder / slug(name)
        claim(kept, self.made_with(name))
        if processes().is_main_process and not (kept / "cost.json").exists():
            with CostMeter(self.pipe.device) as cost:
                edit = self.methods[name].unlearn(self.pipe, self.task.concepts, self.task.keep)
            self.keep(edit, kept)
            write_json(kept / "cost.json", cost.as_json())
        processes().wait_for_everyone()
        return MadeEdit(self.kept(name, kept), read_json(kept / "cost.json"))

    def measure(self, evaluation: Evaluation, task: Task, names: Sequence[str]) -> dict[str, State]:
        """Returns images and scores of an evaluation task in every state, the untouched one first."""
        return evaluation.states(task, {name: (partial(self.make, name), self.made_with(name)) for name in names})

    def mask(self) -> NeuronMask:
        """Returns FIA's mask."""
        mask = self.make(OURS).edit
        assert isinstance(mask, NeuronMask)
        return mask

    def keep(self, edit: Edit, folder: Path) -> None:
        """Writes an edit, if it is costly to make."""
        if isinstance(edit, NeuronMask):
            edit.save_pretrained(folder / "mask")
        elif isinstance(edit, WeightEdit):
            with written_whole(folder / "weights.safetensors") as partial:
                save_file({name: weight.contiguous() for name, weight in edit.weights.items()}, partial)

    def kept(self, name: str, folder: Path) -> Edit:
        """Reads an edit. If there is no file of it, makes it again, which takes no time."""
        if (folder / "mask").exists():
            return NeuronMask.from_pretrained(folder / "mask")
        if (folder / "weights.safetensors").exists():
            return WeightEdit(load_file(folder / "weights.safetensors"))
        return self.methods[name].unlearn(self.pipe, self.task.concepts, self.task.keep)
