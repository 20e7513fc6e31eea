"""A folder of masks, one for each concept and all of the same model. They combine into one mask within moments."""

import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import reduce
from operator import or_
from pathlib import Path

from ..errors import UsageError
from .card import model_card
from .file import NEURONS, check_folder, stage
from .fit import check_same_model
from .mask import NeuronMask


class Library:
    """The masks in a folder. Each has its own subfolder, named after its concept.

    Args:
        folder: the folder of the library; `add` makes it if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def masks(self) -> dict[str, NeuronMask]:
        """Returns every mask by the name of its concept, in alphabetical order.

        Raises:
            ValueError: if a mask is damaged, does not hold exactly one concept, or is of another model.
        """
        return self._read(sorted(path.parent.name for path in self.folder.glob(f"*/{NEURONS}")))

    def add(self, *masks: NeuronMask, replace: bool = False) -> None:
        """Adds every concept of some masks, each as its own mask. All are added, or none.

        Args:
            *masks: masks of the same model as the library.
            replace: whether to replace concepts that the library already holds.

        Raises:
            ValueError: if a mask holds no concept, is of another model, or holds a concept that the library or another
                of the masks already holds and `replace` is false.
        """
        present = self.masks()
        folders = {folder_name(name): name for name in present}
        added: dict[str, NeuronMask] = {}
        for mask in masks:
            if not mask.concepts:
                raise UsageError("The mask holds no concept, so there is nothing to add; give a mask with a concept.")
            for other in [*list(present.values())[:1], masks[0]]:
                check_same_model(other, mask)
            for name in mask.concepts:
                self._check_addition(name, folders, replace and name not in added)
                added[name] = mask.only(name)
        with ExitStack() as files:
            for name, mask in added.items():
                stage(files, mask, self.folder / folder_name(name), card=model_card(mask))

    def _check_addition(self, name: str, folders: dict[str, str], replace: bool) -> None:
        """Raises UsageError if a concept cannot be added; otherwise adds it to the names by folder."""
        entry, is_there = self.folder / folder_name(name), folder_name(name) in folders
        there = folders.setdefault(folder_name(name), name)
        if there != name:
            raise UsageError(f"{name!r} and {there!r} would have the same folder, {folder_name(name)}; rename one.")
        if is_there and not replace:
            raise UsageError(f"{name!r} is already in {self.folder}; replace it (--replace), or remove it first.")
        if entry.is_symlink():
            raise UsageError(f"{entry} is a link, and a library writes only into its own folder; remove it first.")
        check_folder(entry)

    def remove(self, *names: str) -> None:
        """Deletes the masks of concepts. Ignores case, and treats other characters than letters and digits as equal.

        Raises:
            ValueError: if the library does not hold one of the names. Nothing is deleted then.
        """
        self._check_names(names)
        for entry in {self.folder / folder_name(name) for name in names}:
            if entry.is_symlink():
                entry.unlink()  # the mask that it leads to stays
            else:
                shutil.rmtree(entry)

    def compose(self, names: Iterable[str] = (), agnostic_ratio: float | None = None) -> NeuronMask:
        """Fuses several concepts into one mask and returns it. The model is not needed.

        Args:
            names: names of the concepts. No name means all concepts.
            agnostic_ratio: alpha (Eq. 8). None takes the alpha of the masks.

        Raises:
            ValueError: if the library does not hold one of the names or is empty, or if the masks have different alphas
                and `agnostic_ratio` is None.
        """
        names = list(dict.fromkeys(names))
        self._check_names(names)
        masks = list((self._read(map(folder_name, names)) if names else self.masks()).values())
        if not masks:
            raise UsageError(f"There is no mask in {self.folder}; add one first: fia library add {self.folder} MASK.")
        alphas = {mask.agnostic_ratio for mask in masks}
        if agnostic_ratio is None and len(alphas) > 1:
            listed = ", ".join(f"{alpha:g}" for alpha in sorted(alphas))
            raise UsageError(
                f"The masks have different alphas ({listed}); say which one to use: agnostic_ratio (--agnostic-ratio)."
            )
        alpha = alphas.pop() if agnostic_ratio is None else agnostic_ratio
        return reduce(or_, [mask.with_agnostic_ratio(alpha) for mask in masks])

    def _read(self, folders: Iterable[str]) -> dict[str, NeuronMask]:
        names = list(folders)
        with ThreadPoolExecutor() as threads:  # hashing releases Python's lock
            loaded = list(threads.map(NeuronMask.from_pretrained, [self.folder / name for name in names]))
        masks: dict[str, NeuronMask] = {}
        for name, mask in zip(names, loaded, strict=True):
            if len(mask.concepts) != 1 or folder_name(mask.concepts[0]) != name:
                raise UsageError(
                    f"{self.folder / name} holds {mask.concepts}, not the one concept it is named after. Delete the "
                    "folder, and add the mask again (fia library add)."
                )
            for first in list(masks.values())[:1]:
                check_same_model(first, mask)
            masks[mask.concepts[0]] = mask
        return masks

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if not (self.folder / folder_name(name) / NEURONS).is_file():
                there = ", ".join(self.masks()) or "nothing"
                raise UsageError(f"{name!r} is not in {self.folder}; name one that it holds: {there}.")


def folder_name(concept: str) -> str:
    """Returns the folder name of a concept: lower case, with dashes for everything but letters and digits."""
    name = re.sub(r"[\W_]+", "-", concept.casefold()).strip("-")
    if not name:
        raise UsageError(f"Concept {concept!r} has no letter or digit to name a folder after; rename it.")
    return name
