"""A folder of masks of one concept each, all of the same model, that policies are composed from in moments."""

import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import or_
from pathlib import Path

from ..errors import UsageError
from .file import NEURONS, check_folder
from .fit import check_same_model
from .mask import NeuronMask


class Library:
    """The masks in a folder, each in a folder of its own named after its concept.

    Args:
        folder: of the library; made when the first mask is added.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def masks(self) -> dict[str, NeuronMask]:
        """Returns every mask by the name of its concept, in alphabetical order.

        Raises:
            ValueError: if one of them is damaged, holds anything but one concept, or is of another model.
        """
        return self._read(sorted(path.parent.name for path in self.folder.glob(f"*/{NEURONS}")))

    def add(self, mask: NeuronMask, *, replace: bool = False) -> None:
        """Adds every concept of a mask, as a mask of its own; nothing is written before all of it is checked.

        Args:
            mask: of the model that the library is of.
            replace: whether a concept that is there already is replaced.

        Raises:
            ValueError: if the mask holds nothing, is of another model, or holds a concept that is there already.
        """
        if not mask.concepts:
            raise UsageError("The mask holds no concept, so there is nothing to add.")
        present = self.masks()
        for other in list(present.values())[:1]:
            check_same_model(other, mask)
        folders = {folder_name(name): name for name in present}
        for name in mask.concepts:
            there = folders.setdefault(folder_name(name), name)
            if there != name:
                raise UsageError(f"{name!r} and {there!r} would have the same folder, {folder_name(name)}; rename one.")
            if name in present and not replace:
                raise UsageError(f"{name!r} is in {self.folder} already; replace it (--replace), or remove it first.")
            check_folder(self.folder / folder_name(name))
        for name in mask.concepts:
            mask.only(name).save_pretrained(self.folder / folder_name(name))

    def remove(self, *names: str) -> None:
        """Deletes the masks of concepts. Large and small letters, and signs in place of spaces, are the same.

        Raises:
            ValueError: for a name that is not there; then nothing is deleted.
        """
        self._check_names(names)
        for folder in {folder_name(name) for name in names}:
            shutil.rmtree(self.folder / folder)

    def compose(self, names: Iterable[str] = (), agnostic_ratio: float | None = None) -> NeuronMask:
        """Returns one mask for several concepts, fused anew; the model is not needed.

        Args:
            names: of the concepts; all where there are none.
            agnostic_ratio: alpha (Eq. 8); the one that the masks have where None.

        Raises:
            ValueError: for a name that is not there, an empty library, or different alphas where none is given.
        """
        names = list(dict.fromkeys(names))
        self._check_names(names)
        masks = list((self._read(map(folder_name, names)) if names else self.masks()).values())
        if not masks:
            raise UsageError(f"There is no mask in {self.folder}; add one first: fia library add {self.folder} MASK.")
        alphas = {mask.agnostic_ratio for mask in masks}
        if agnostic_ratio is None and len(alphas) > 1:
            listed = ", ".join(f"{alpha:g}" for alpha in sorted(alphas))
            raise UsageError(f"The masks have different alphas ({listed}); say which one to use (--agnostic-ratio).")
        alpha = alphas.pop() if agnostic_ratio is None else agnostic_ratio
        return reduce(or_, [mask.with_agnostic_ratio(alpha) for mask in masks])

    def _read(self, folders: Iterable[str]) -> dict[str, NeuronMask]:
        names = list(folders)
        with ThreadPoolExecutor() as threads:  # checking hashes leaves Python free
            loaded = list(threads.map(NeuronMask.from_pretrained, [self.folder / name for name in names]))
        masks: dict[str, NeuronMask] = {}
        for name, mask in zip(names, loaded, strict=True):
            if len(mask.concepts) != 1 or folder_name(mask.concepts[0]) != name:
                raise UsageError(f"{self.folder / name} holds {mask.concepts}, not the one concept it is named after.")
            for first in list(masks.values())[:1]:
                check_same_model(first, mask)
            masks[mask.concepts[0]] = mask
        return masks

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if not (self.folder / folder_name(name) / NEURONS).is_file():
                there = ", ".join(self.masks()) or "nothing"
                raise UsageError(f"{name!r} is not in {self.folder}, which holds: {there}.")


def folder_name(concept: str) -> str:
    """Returns what the folder of a concept is called: lower case, with dashes for all but letters and digits."""
    name = re.sub(r"[\W_]+", "-", concept.casefold()).strip("-")
    if not name:
        raise UsageError(f"Concept {concept!r} has no letter or digit to name a folder after.")
    return name
