"""What is recorded of a finding, so that it can be repeated, and what is warned of before it."""

from dataclasses import asdict, replace
from typing import Any

from diffusers import DiffusionPipeline

from ..models.pipelines import get_denoiser, model_name
from ..prompts import ConceptPairs
from ..provenance import versions
from ..settings import Settings


def record(pipe: DiffusionPipeline, pairs: ConceptPairs, settings: Settings, seconds: float) -> dict[str, Any]:
    """Returns how the neurons of some concepts were found, as plain JSON."""
    denoiser = get_denoiser(pipe, known=False)
    return {
        "model": model_name(pipe),
        "pipeline": type(pipe).__name__,
        "scheduler": type(pipe.scheduler).__name__,
        "dtype": str(denoiser.dtype).removeprefix("torch."),
        "device": pipe._execution_device.type,
        "seconds": round(seconds, 2),
        "settings": asdict(settings),
        "concepts": [
            asdict(replace(concept, prompts=())) | {"prompts": [asdict(pair) for pair in own]} for concept, own in pairs
        ],
        "versions": versions(),
    }
