"""The paper's tasks, and the numbers that it publishes for each (docs/reproduce.md).

The numbers are those of arXiv 2601.06163. Its authors measured them on Stable Diffusion 1.5 and 1.4. A row that has a
name of ours is the same method; the others are in the paper alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...concepts import PRESETS, Concept
from ...evaluation.run import UNTOUCHED
from ..tasks import BenchTask

ProtocolName = Literal["imagenette10", "imagenette5", "styles5", "explicit"]
ZEROS = "FIA, zeros"  # the paper's own


@dataclass(frozen=True)
class Published:
    """A column of the paper's table.

    Attributes:
        label: what it is, for people.
        task: the evaluation task that measures the same.
        path: the keys that lead to the same among its scores.
        values: the paper's numbers, by method.
    """

    label: str
    task: str
    path: tuple[str, ...]
    values: Mapping[str, float]


@dataclass(frozen=True)
class Protocol:
    """A task of the paper.

    Attributes:
        title: what it does, for people.
        task: what is forgotten, and what every method is told to keep.
        measured: the evaluation task that says whether it is forgotten: objects, styles or explicit.
        model: the model that the paper measured.
        published: the columns of the paper's table.
    """

    title: str
    task: BenchTask
    measured: Literal["objects", "styles", "explicit"]
    model: str
    published: tuple[Published, ...]


def _concepts(preset: str) -> tuple[Concept, ...]:
    """Returns the concepts of a preset without the paper's ratios, which only the paper's own settings take."""
    return tuple(replace(concept, spatial_ratio=None, temporal_ratio=None) for concept in PRESETS[preset])


TEN = _concepts("imagenette")

PROTOCOLS: dict[ProtocolName, Protocol] = {
    "imagenette10": Protocol(
        "Ten Imagenette classes forgotten at once",
        BenchTask("imagenette10", TEN, ()),
        "objects",
        "Stable Diffusion 1.5",
        (
            Published(
                "still detected, % (lower is better)",
                "objects",
                ("still_detected",),
                {
                    **{UNTOUCHED: 90.34, ZEROS: 1.9, "ConceptPrune": 7.34, "UCE": 8.62, "ESD": 38.58},
                    **{"FMN": 71.89, "AC": 58.15, "SalUn": 23.17, "MACE": 78.22, "SPM": 47.29},
                },
            ),
            Published(
                "CLIP score on COCO (higher is better)",
                "quality",
                ("clip_score",),
                {
                    **{UNTOUCHED: 31.42, ZEROS: 29.56, "ConceptPrune": 27.93, "UCE": 29.25, "ESD": 30.12},
                    **{"FMN": 30.56, "AC": 31.58, "SalUn": 29.93, "MACE": 31.05, "SPM": 30.77},
                },
            ),
        ),
    ),
    "imagenette5": Protocol(
        "Five Imagenette classes forgotten at once, the other five kept",
        BenchTask("imagenette5", TEN[:5], tuple(concept.name for concept in TEN[5:])),
        "objects",
        "Stable Diffusion 1.5",
        (
            Published(
                "still detected, % (lower is better)",
                "objects",
                ("still_detected",),
                {
                    **{ZEROS: 2.1, "ConceptPrune": 2.7, "UCE": 5.5, "ESD": 26.6},
                    **{"FMN": 48.9, "AC": 41.1, "SalUn": 22.3, "MACE": 58.5, "SPM": 37.0},
                },
            ),
            Published(
                "kept, % (higher is better)",
                "objects",
                ("kept",),
                {
                    **{ZEROS: 76.7, "ConceptPrune": 52.4, "UCE": 71.9, "ESD": 72.2},
                    **{"FMN": 76.9, "AC": 78.1, "SalUn": 77.4, "MACE": 78.2, "SPM": 76.5},
                },
            ),
            Published(
                "overall (higher is better)",
                "objects",
                ("overall",),
                {
                    **{ZEROS: 86.0, "ConceptPrune": 68.1, "UCE": 81.7, "ESD": 72.8},
                    **{"FMN": 61.4, "AC": 67.2, "SalUn": 77.5, "MACE": 54.2, "SPM": 69.1},
                },
            ),
        ),
    ),
    "styles5": Protocol(
        "Five artists' styles forgotten at once",
        BenchTask("styles5", _concepts("artists"), ()),
        "styles",
        "Stable Diffusion 1.5",
        (
            Published(
                "CLIP similarity to the artist (lower is better)",
                "styles",
                ("clip_artist", "forgotten"),
                {ZEROS: 27.45, "ConceptPrune": 27.90, "MACE": 30.98},
            ),
            Published("forget-success rate, % (higher is better)", "styles", ("forget_success_rate",), {ZEROS: 83.4}),
            Published("FID on COCO (lower is better)", "quality", ("frechet_distance",), {ZEROS: 16.7}),
            Published("CLIP score on COCO (higher is better)", "quality", ("clip_score",), {ZEROS: 30.56}),
        ),
    ),
    "explicit": Protocol(
        "Explicit content forgotten",
        BenchTask("explicit", _concepts("explicit"), ()),
        "explicit",
        "Stable Diffusion 1.4",
        (
            Published(
                "bare body parts detected on I2P (lower is better)",
                "explicit",
                ("detections",),
                {UNTOUCHED: 743, ZEROS: 32, "ConceptPrune": 148, "UCE": 182, "MACE": 111},
            ),
            Published("FID on COCO (lower is better)", "quality", ("frechet_distance",), {ZEROS: 14.02}),
            Published("CLIP score on COCO (higher is better)", "quality", ("clip_score",), {ZEROS: 31.18}),
        ),
    ),
}
