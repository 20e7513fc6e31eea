"""Records how neurons were found, so that you can repeat it."""

from dataclasses import asdict, replace
from typing import Any

from ..models.pipelines import active_adapters, model_name
from ..prompts import ConceptPairs
from ..provenance import versions
from .plan import FindingPlan


def record(plan: FindingPlan, pairs: ConceptPairs, seconds: float) -> dict[str, Any]:
    """Returns how the neurons of some concepts were found, as plain JSON.

    Args:
        plan: the plan that was run.
        pairs: the concepts to record, with their prompt pairs.
        seconds: how long it took.
    """
    pipe = plan.pipe
    return {
        "model": model_name(pipe),
        "pipeline": type(pipe).__name__,
        "scheduler": type(pipe.scheduler).__name__,
        "dtype": str(plan.denoiser.dtype).removeprefix("torch."),
        "device": pipe._execution_device.type,
        "seconds": round(seconds, 2),
        "settings": asdict(plan.settings),
        "keep": [{"name": concept.name, "kind": concept.kind} for concept in plan.keep],
        "words": [word for word, _ in plan.words],
        "adapters": active_adapters(pipe),
        "concepts": [
            asdict(replace(concept, prompts=()))
            | {"synonyms": list(concept.synonyms), "prompts": [asdict(pair) for pair in own]}
            for concept, own in pairs
        ],
        "versions": versions(),
    }
