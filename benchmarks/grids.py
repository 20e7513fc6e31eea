"""The values that `candidates.py` tries for each method.

Most serve every task. Those of the large world reach further, because the small world's leave everything there or take
everything away.
"""

from typing import Any

from fia.methods.double_projections import Safe
from fia.methods.text_embeddings import Positions

UCE_SETTINGS: tuple[tuple[Positions, float, float], ...] = (
    *(("tail", 0.1, 10.0), ("tail", 1.0, 10.0), ("tail", 1.0, 30.0)),
    *(("last", 0.1, 1.0), ("last", 1.0, 0.1), ("last", 1.0, 1.0)),
)
RECE_SETTINGS: tuple[tuple[Positions, float, float, int, float], ...] = (
    *(("tail", 1.0, 10.0, 1, 0.1), ("tail", 1.0, 10.0, 3, 0.1)),
    *(("last", 1.0, 0.1, 1, 0.1), ("last", 1.0, 0.1, 3, 0.1), ("last", 1.0, 0.1, 3, 0.001), ("last", 1.0, 1.0, 3, 0.1)),
)
SPEED_SETTINGS = ((0.1, 1.0, 10), (0.1, 0.05, 10), (0.1, 0.05, 0), (0.01, 0.05, 10), (0.01, 1.0, 10), (1.0, 0.05, 10))
DP_SETTINGS: tuple[tuple[Safe, Positions, int | None], ...] = (
    *(("kept", "last", None), ("guide", "last", None), ("kept", "last", 4)),
    *(("kept", "tail", 16), ("guide", "tail", 16), ("guide", "tail", 32)),
)
OCE_SETTINGS = (
    *((300.0, 1.0, 10.0), (300.0, 20.0, 10.0), (1000.0, 20.0, 10.0)),
    *((2000.0, 1.0, 10.0), (2000.0, 100.0, 10.0), (2000.0, 100.0, 100.0)),
)
SCAPRE_SETTINGS = (
    *((2.0, 8.0, 0.5), (2.0, 2.0, 0.5), (2.0, 1.0, 0.5)),
    *((20.0, 1.0, 0.5), (20.0, 2.0, 0.05), (100.0, 1.0, 0.5)),
)
SCAPRE_OF_LARGE = (*SCAPRE_SETTINGS, (2.0, 32.0, 0.5), (0.5, 8.0, 0.5), (2.0, 8.0, 5.0))
WEAKLY_PRESERVED: tuple[tuple[Positions, float, float], ...] = (
    *(("last", 0.01, 0.1), ("last", 0.01, 0.01), ("last", 0.001, 0.01)),
    *(("tail", 0.01, 1.0), ("tail", 0.01, 0.1), ("tail", 0.001, 1.0)),
)
STRONGLY_PRESERVED: tuple[tuple[Positions, float, float], ...] = (
    *(("last", 10.0, 1.0), ("last", 10.0, 10.0), ("last", 100.0, 1.0), ("tail", 10.0, 10.0), ("tail", 10.0, 100.0)),
)
BEYOND: dict[str, Any] = {
    "uce": (*UCE_SETTINGS, *STRONGLY_PRESERVED),
    "rece": (*RECE_SETTINGS, *((*own, 3, 0.1) for own in STRONGLY_PRESERVED)),
    "speed": (*SPEED_SETTINGS, (0.1, 0.3, 10), (0.1, 0.3, 0), (1.0, 0.3, 0), (10.0, 0.05, 10)),
    "dp": (*DP_SETTINGS, ("kept", "last", 16), ("guide", "last", 16), ("guide", "tail", 64)),
    "oce": (*OCE_SETTINGS, (300.0, 5.0, 10.0), (1000.0, 10.0, 10.0), (300.0, 20.0, 100.0)),
    "esd_x": (1e-4, 5e-4),
    "esd_u": (3e-5, 1e-4),
}
OF_OBJECTS = (
    *((r2, 0.8, 1.0) for r2 in (0.02, 0.025, 0.03, 0.04, 0.05, 0.07)),
    *((r2, 1.01, 1.0) for r2 in (0.02, 0.03, 0.04)),
    *((0.03, 1.01, 7.5), (0.05, 1.01, 7.5)),
)
OF_ROWS = (*((ratio, 7.5) for ratio in (0.005, 0.01, 0.02, 0.05)), (0.02, 1.0), (0.05, 1.0))
