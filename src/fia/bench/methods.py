"""The methods that the benchmark compares, each with the settings chosen for the embedded model (docs/rivals.md)."""

from collections.abc import Mapping
from dataclasses import replace

from ..methods import ESD, FIA, RECE, UCE, ConceptPrune, Method, NegativePrompt
from ..testbed.demo import DEMO_SETTINGS
from .tasks import BenchTask

FEW = 5  # concepts
ESD_SETTINGS = {"iterations": 150, "batch_size": 4, "num_inference_steps": 10}

FOR_FEW: dict[str, Method] = {
    "FIA": FIA(DEMO_SETTINGS),
    "ConceptPrune": ConceptPrune(0.05, prompts_per_concept=8, seeds_per_prompt=4),
    "UCE": UCE(positions="last", preserve_scale=1.0, ridge=0.1),
    "RECE": RECE(positions="last", preserve_scale=1.0, ridge=0.1, shrinkage=0.001),
    "ESD-x": ESD("x", learning_rate=5e-4, **ESD_SETTINGS),
    "ESD-u": ESD("u", learning_rate=1e-4, **ESD_SETTINGS),
    "negative prompt": NegativePrompt(),
}
FOR_MANY: dict[str, Method] = FOR_FEW | {
    "FIA": FIA(replace(DEMO_SETTINGS, spatial_ratio=0.03, agnostic_ratio=1.01)),
    "UCE": UCE(positions="tail", preserve_scale=1.0, ridge=10.0),
    "RECE": RECE(positions="tail", preserve_scale=1.0, ridge=10.0),
}


def methods_for(task: BenchTask) -> Mapping[str, Method]:
    """Returns every method with its settings for as many concepts as the task has."""
    return FOR_FEW if len(task.concepts) <= FEW else FOR_MANY
