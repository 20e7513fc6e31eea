"""A unit: an attack in one variant, on one concept in one state of the model.

It has a folder with its images and, until it is complete, with what the attack learned. Then it has `result.json`. The
words that an attack found are kept.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from ..concepts import Concept
from ..drawing.gallery import Gallery
from ..drawing.images import Request
from ..files import written_whole
from .interface import Attack, Case, Learned
from .records import UnitResult

LEARNED = "learned.safetensors"  # what the attack learned


@dataclass(frozen=True)
class Unit:
    """An attack on one concept in one state of the model."""

    attack: Attack
    variant: str
    state: str
    concept: Concept

    @property
    def label(self) -> str:
        """Name of the attack and its variant."""
        return f"{self.attack.title}, {self.variant}" if self.variant else self.attack.title


def complete(unit: Unit, case: Case, folder: Path, requests: Sequence[Request]) -> None:
    """Learns, draws and judges what is missing of a unit, and writes its result."""
    started = time.perf_counter()
    learned = learn(unit, case, folder / LEARNED)
    gallery = Gallery.numbered(folder, len(requests))
    size = 1 if unit.attack.one_at_a_time else case.drawing.batch_size
    for start in range(0, len(requests), size):
        files = gallery.files[start : start + size]
        if all(file.exists() for file in files):
            continue
        images = unit.attack.draw(case, requests[start : start + size], learned, unit.variant)
        if unit.attack.finds_words:
            keep(learned, folder / LEARNED)
        for file, image in zip(files, images, strict=True):
            with written_whole(file) as partial:
                image.save(partial, format="PNG")
    notes = unit.attack.notes(case, learned, unit.variant)
    result: UnitResult = {
        "seen": case.sees([gallery[i] for i in range(len(gallery))]),
        "notes": {name: own if isinstance(own, str) else round(own, 2) for name, own in notes.items()},
        "seconds": round(time.perf_counter() - started, 2),
    }
    with written_whole(folder / "result.json") as partial:
        partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if not unit.attack.finds_words:
        (folder / LEARNED).unlink(missing_ok=True)


def learn(unit: Unit, case: Case, file: Path) -> Learned:
    """Returns what the attack learned, from its file if that is there."""
    if file.exists():
        return load_file(file)
    learned = unit.attack.learn(case, unit.variant)
    keep(learned, file)
    return learned


def keep(learned: Learned, file: Path) -> None:
    """Writes what an attack learned, if it learned anything."""
    if learned:
        with written_whole(file) as partial:
            save_file({name: value.detach().cpu().contiguous() for name, value in learned.items()}, partial)
