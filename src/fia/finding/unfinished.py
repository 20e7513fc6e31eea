"""Keeps what an interrupted run found, so that the next run goes on from there.

Each finished group of concepts is stored as its own mask. A hash of everything that it depends on names the folder: all
weights of the model, its scheduler, the settings, prompts and versions. So only a run that would find the same neurons
uses it.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import DataError, FIAError
from ..files import folder_written_whole
from ..masks.mask import NeuronMask
from ..prompts import ConceptPairs
from ..provenance import hash_json, hash_pipeline
from .plan import FindingPlan
from .record import record


class Unfinished:
    """A folder with the groups that are finished."""

    def __init__(self, folder: Path, plan: FindingPlan) -> None:
        self.folder, self.plan = folder, plan

    def get(self, group: ConceptPairs) -> NeuronMask | None:
        """Returns the mask of a group, or None if the group is not finished.

        Raises:
            ValueError: if the mask is damaged.
        """
        folder = self.folder / self._key(group)
        if not folder.exists():
            return None
        try:
            return NeuronMask.from_pretrained(folder)
        except FIAError as error:
            raise DataError(
                f"What an interrupted run found is damaged: {error} To find it anew, delete {folder}."
            ) from None

    def keep(self, group: ConceptPairs, mask: NeuronMask) -> None:
        """Writes the mask of a group, whole or not at all."""
        with folder_written_whole(self.folder / self._key(group)) as partial:
            mask.save_pretrained(partial)

    def _key(self, group: ConceptPairs) -> str:
        made_with: dict[str, Any] = record(self.plan, group, 0)
        del made_with["settings"]["agnostic_ratio"]  # it plays no part in finding
        config = dict(getattr(self.plan.denoiser, "config", {}))  # includes the image size
        own = {key: value for key, value in config.items() if not key.startswith("_")}
        return hash_json([made_with, own, self._model])[:16]

    @cached_property
    def _model(self) -> str:
        return hash_pipeline(self.plan.pipe)
