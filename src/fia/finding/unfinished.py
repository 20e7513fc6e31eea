"""What an interrupted finding had found, so that the next one goes on from there.

Every group of concepts that was found is a mask of its own, in a folder named by a hash of what it depends on: all
weights of the model, its scheduler, the settings, prompts and versions. So it is taken up again by a finding that would
find the very same. (The scale of a LoRA that is loaded and not fused is not seen.)
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from ..files import folder_written_whole
from ..masks.mask import NeuronMask
from ..prompts import ConceptPairs
from ..provenance import hash_json, hash_pipeline
from .plan import FindingPlan
from .record import record


class Unfinished:
    """The groups that were found, in a folder."""

    def __init__(self, folder: Path, plan: FindingPlan) -> None:
        self.folder, self.plan = folder, plan

    def get(self, group: ConceptPairs) -> NeuronMask | None:
        """Returns the mask of a group where it was found.

        Raises:
            ValueError: if it is damaged.
        """
        folder = self.folder / self._key(group)
        return NeuronMask.from_pretrained(folder) if folder.exists() else None

    def keep(self, group: ConceptPairs, mask: NeuronMask) -> None:
        """Writes the mask of a group, whole or not at all."""
        with folder_written_whole(self.folder / self._key(group)) as partial:
            mask.save_pretrained(partial)

    def _key(self, group: ConceptPairs) -> str:
        made_with: dict[str, Any] = record(self.plan, group, 0)
        del made_with["settings"]["agnostic_ratio"]  # it fuses what was found
        config = dict(getattr(self.plan.denoiser, "config", {}))  # has the size of the picture
        own = {key: value for key, value in config.items() if not key.startswith("_")}
        return hash_json([made_with, own, self._model])[:16]

    @cached_property
    def _model(self) -> str:
        return hash_pipeline(self.plan.pipe)
