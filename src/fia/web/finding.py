"""The job that finds concepts in a model, and the facts about them that the page shows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..finding.plan import pair_prompts
from ..finding.run import find
from ..loading import Runtime
from ..masks.mask import NeuronMask
from ..masks.overlap import overlap_by_chance, overlap_matrix
from ..models.pipelines import longest_prompt
from ..settings import Settings
from .forms import FindForm
from .jobs import Job
from .offers import Offer
from .refusal import Refused, entered_in


@dataclass(frozen=True)
class Found:
    """The concepts that a job found in a model.

    Attributes:
        id: the id of that job.
        form: what the person asked for.
        offer: the model.
        mask: the mask of all concepts.
        facts: facts about the mask, for the page.
    """

    id: str
    form: FindForm
    offer: Offer
    mask: NeuronMask
    facts: dict[str, Any]


def settings_of(form: FindForm, offer: Offer, concepts: Sequence[Concept]) -> tuple[Settings, list[Concept]]:
    """Returns the settings, with what the person changed, and the concepts, with their own r2 if one is recommended."""
    changed = {name: getattr(form, name) for name in ("spatial_ratio", "prompts_per_concept")}
    changed = {name: value for name, value in changed.items() if value is not None}
    return offer.settings_for(concepts, form.edit, **changed)


def find_concepts(
    job: Job, form: FindForm, offer: Offer, concepts: Sequence[Concept], settings: Settings, runtime: Runtime
) -> Found:
    """Finds concepts. The model stays as it was, even if the job is cancelled."""
    job.begin(f"Loading {offer.label}")
    pipe = offer.load(runtime)
    with entered_in("prompts_per_concept"):
        pairs = pair_prompts(concepts, settings)
    check_length(pipe, (pair.concept_prompt for _, own in pairs for pair in own), "concepts")
    job.begin(f"Finding {' and '.join(filter(None, [', '.join(c.name for c in concepts[:-1]), concepts[-1].name]))}")
    mask = find(pipe, concepts, settings, keep=form.checked_keep(), progress=False, on_step=job.step)
    job.begin("Comparing the concepts")
    about = {"model": offer.label, "form": form.model_dump(), "is_unchecked": offer.is_unchecked}
    return Found(job.id, form, offer, mask, about | facts(mask))


def check_length(pipe: DiffusionPipeline, prompts: Iterable[str], field: str) -> None:
    """Refuses a prompt whose end the model would ignore."""
    limit = longest_prompt(pipe)
    if limit is None:
        return
    for prompt in prompts:
        ignored = limit.ignored(prompt)
        if ignored:
            message = (
                f"Prompt {prompt!r} is longer than the model's {limit.tokens} tokens; it would ignore {ignored!r}. "
                "Use fewer words."
            )
            raise Refused(field, message)


def facts(mask: NeuronMask) -> dict[str, Any]:
    """Returns the share of each layer that each concept claims, and how much the concepts overlap, both in percent."""
    depth = {"down": 0, "mid": 1, "up": 2}  # of a U-Net; the layers of other models are in order already
    order = sorted(mask.shapes, key=lambda name: depth.get(name.split("_")[0], 0))
    sizes = {name: outputs * inputs for name, (outputs, inputs) in mask.shapes.items()}
    claims, kinds = list(mask.neurons.values()), mask.kinds
    return {
        "concepts": [
            {"name": name, "kind": kinds[name], "neurons": count} for name, count in mask.neuron_counts.items()
        ],
        "layers": [
            {"name": name, "label": label, "shares": [100 * len(layers[name]) / sizes[name] for layers in claims]}
            for name, label in zip(order, layer_labels(order), strict=True)
        ],
        "overlap": overlap_matrix(mask).tolist(),
        "chance": [[overlap_by_chance(one, two, mask.shapes) for two in claims] for one in claims],
        "agnostic_ratio": mask.agnostic_ratio,
        "seconds": mask.provenance[0]["seconds"],
    }


def fused_facts(mask: NeuronMask) -> dict[str, Any]:
    """Returns how much a mask prunes and spares."""
    return {
        "pruned": mask.number_pruned,
        "spared": mask.number_spared,
        "threshold": mask.agnostic_threshold,
        "sparsity": mask.sparsity,
        "denoiser_sparsity": mask.denoiser_sparsity,
        "layers": {name: 100 * share for name, share in mask.layer_sparsity.items()},
    }


def layer_labels(names: Sequence[str]) -> list[str]:
    """Returns short names of a U-Net's layers, such as "down 1.0", with enough numbers to tell them apart."""
    blocks = [re.split(r"\.(?:ff|attn2)\.", name)[0] for name in names]
    numbers = [re.findall(r"\d+", block) for block in blocks]
    ends = [" attn" if ".attn2." in name else "" for name in names]
    for length in range(1, max(map(len, numbers)) + 1):
        labels = [
            f"{name.split('_')[0]} {'.'.join(own[:length])}{end}"
            for name, own, end in zip(names, numbers, ends, strict=True)
        ]
        if len(set(labels)) == len(labels):
            return labels
    return list(names)
