"""The model card of a mask: what the model forgets, how the neurons were found, how well it works, and the licence."""

from huggingface_hub import ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..settings import Value
from .contents import MaskContents

NO_EVIDENCE = (
    "None was given with this mask. Measure what it forgets and what it costs: `fia evaluate MODEL --mask MASK --task "
    "objects`."
)
DEEDS: dict[Value, str] = {"rewrite": "gives new values to", "zero": "prunes"}
REWRITTEN = ", its neurons rewritten in closed form"
NO_LICENCE = "None was stated. A mask is of little use without its base model, and that model has its own licence."


def model_card(mask: MaskContents, evidence: str = NO_EVIDENCE, licence: str | None = None) -> str:
    """Returns the text of a mask's model card, with the metadata that the Hub reads.

    Args:
        mask: the mask to describe.
        evidence: Markdown that says what was measured.
        licence: an identifier such as apache-2.0. None says in the card that no licence was stated.
    """
    data = ModelCardData(
        library_name="fia",
        license=licence,
        base_model=mask.model if _may_be_on_the_hub(mask.model) else None,
        tags=["fia", "concept-unlearning", "text-to-image"],
    )
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
{mask.denoiser_sparsity:.3%} of the denoiser) of `{mask.model}`, so that it no longer generates:

{concepts}

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

{evidence}

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
