"""The model card of a mask: what the model forgets, how the neurons were found, how well it works, and the licence."""

from collections.abc import Sequence
from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..settings import Value
from .contents import MaskContents

NO_EVIDENCE = (
    "Not measured: no evidence was given with this mask. Measure what it forgets and what it costs: `fia evaluate "
    "MODEL --mask MASK --task objects`."
)
DEEDS: dict[Value, str] = {"rewrite": "gives new values to", "zero": "prunes"}
REWRITTEN = ", its neurons rewritten in closed form"
NO_LICENCE = "None was stated. A mask is of little use without its base model, and that model has its own licence."


@dataclass(frozen=True)
class Evidence:
    """What was measured of a mask, for its card.

    Attributes:
        text: Markdown.
        results: the same for the metadata.
        pictures: (prompt, file before, file after) of images in the folder of the card.
    """

    text: str
    results: Sequence[EvalResult]
    pictures: Sequence[tuple[str, str, str]] = ()


def model_card(mask: MaskContents, evidence: Evidence | None = None, licence: str | None = None) -> str:
    """Returns the text of a mask's model card, with the metadata that the Hub reads.

    Args:
        mask: the mask to describe.
        evidence: what was measured. None says in the card that nothing was.
        licence: an identifier such as apache-2.0. None says in the card that no licence was stated.
    """
    is_on_hub = _may_be_on_the_hub(mask.model)
    pictures = evidence.pictures if evidence is not None else ()
    data = ModelCardData(
        library_name="fia",
        license=licence,
        base_model=mask.model if is_on_hub else None,
        base_model_relation="adapter" if is_on_hub else None,
        pipeline_tag="text-to-image",
        tags=["fia", "concept-unlearning"],
        model_name=f"Without {', '.join(mask.concepts)}" if evidence is not None else None,
        eval_results=list(evidence.results) if evidence is not None else None,
        widget=[
            {"text": f"{prompt} ({when} the mask)", "output": {"url": file}}
            for prompt, before, after in pictures
            for when, file in (("without", before), ("with", after))
        ]
        or None,
    )
    meant = "so that it no longer generates:" if evidence is not None else "and is meant to forget (not measured):"
    gallery = "\n<Gallery />\n" if pictures else ""
    concepts = "\n".join(f"- {_described(mask, name)}" for name in mask.concepts) or "- nothing"
    settings = "\n".join(
        f"- {', '.join(f'{key} {value}' for key, value in found.items() if value is not None)}"
        for found in mask.settings
    )
    return f"""---
{data.to_yaml()}
---

# A mask that makes a text-to-image model forget

It {DEEDS[mask.edit]} {mask.number_pruned:,} connections ({mask.sparsity:.2%} of the maskable layers,
{mask.denoiser_sparsity:.3%} of the denoiser) of `{mask.model}`, {meant}

{concepts}
{gallery}
```python
import fia
mask = fia.NeuronMask.from_pretrained("this folder")
mask.apply(pipe)   # mask.remove(pipe) undoes it, bit for bit
```

It fits the {mask.architecture} with the weights hash `{mask.weights_hash[:16]}`, in any floating-point type.

## How it was found

With Forget-It-All (arXiv 2601.06163){REWRITTEN if mask.rewriting else ""}, alpha {mask.agnostic_ratio:g}; prompts,
seeds and versions are in `config.json`.

{settings or "- settings unknown"}

## Evidence

{evidence.text if evidence is not None else NO_EVIDENCE}

## Licence

{licence or NO_LICENCE}
"""


def _described(mask: MaskContents, name: str) -> str:
    """Returns a concept with its kind and synonyms, and its strength if that is below 1."""
    strength = mask.strengths.get(name, 1)
    also = f", also {', '.join(mask.synonyms[name])}" if mask.synonyms[name] else ""
    return f"{name} ({mask.kinds[name]})" + also + (f", at strength {strength:g}" if strength != 1 else "")


def _may_be_on_the_hub(model: str) -> bool:
    """Returns whether a model's name has the form owner/name."""
    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return "/" in model
