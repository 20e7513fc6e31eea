"""Describes a mask: as text for people, and as JSON for scripts."""

from typing import Any, TypedDict

from ..settings import Value
from .mask import NeuronMask
from .overlap import MOST_COMPARED, closest_pairs, overlap_matrix
from .rewriting import Rewriting

VERBS: dict[Value, str] = {"rewrite": "rewritten", "zero": "pruned"}


def describe_json(mask: NeuronMask) -> dict[str, Any]:
    """Returns the concepts, counts by layer, sparsity and provenance of a mask as plain JSON."""
    return {
        "concepts": mask.neuron_counts,
        "layers": {
            name: {"shape": list(shape), "pruned": len(mask.pruned[name])} for name, shape in mask.shapes.items()
        },
        "pruned": mask.number_pruned,
        "spared": mask.number_spared,
        "sparsity": mask.sparsity,
        "denoiser_sparsity": mask.denoiser_sparsity,
        "agnostic_ratio": mask.agnostic_ratio,
        "agnostic_threshold": mask.agnostic_threshold,
        "strengths": mask.strengths,
        "edit": mask.edit,
        "sites": mask.sites,
        "rewriting": describe_rewriting(mask.rewriting),
        "synonyms": {name: list(words) for name, words in mask.synonyms.items() if words},
        "overlap": overlap_matrix(mask).round(2).tolist() if len(mask.concepts) <= MOST_COMPARED else None,
        "architecture": mask.architecture,
        "weights_hash": mask.weights_hash,
        "provenance": mask.provenance,
    }


class RewritingFacts(TypedDict):
    """What a rewriting retains, and how much that weighs.

    Attributes:
        keep: the names that were given.
        words: number of words of the list that are retained.
        retain_weight: mu.
        ridge: lambda.
    """

    keep: list[str]
    words: int
    retain_weight: float
    ridge: float


def describe_rewriting(rewriting: Rewriting | None) -> RewritingFacts | None:
    """Returns what a rewriting retains, as plain JSON; None for zeros."""
    if rewriting is None:
        return None
    return {
        "keep": rewriting.kept_names,
        "words": rewriting.number_of_words,
        "retain_weight": rewriting.retain_weight,
        "ridge": rewriting.ridge,
    }


def describe_effects(mask: NeuronMask) -> str:
    """Returns a sentence about what the new values do, or nothing for zeros."""
    effects = mask.effects
    if effects is None:
        return ""
    removed = ", ".join(f"{name} {share:.0%}" for name, share in effects.removed.items())
    return (
        f"Of what its layers could remove of each concept, the mask removes: {removed}. What it retains moves "
        f"{effects.moved:.1%} as much as the concepts do."
    )


def describe(mask: NeuronMask) -> str:
    """Returns the same facts as a few short tables."""
    verb, synonyms = VERBS[mask.edit], mask.synonyms
    lines = [f"{'concept':<28}{'sensitive neurons':>18}"]
    for name, count in mask.neuron_counts.items():
        strength = f"  at strength {mask.strengths[name]:g}" if mask.strengths.get(name, 1) != 1 else ""
        also = f"  also {', '.join(synonyms[name])}" if synonyms[name] else ""
        lines.append(f"{name:<28}{count:>18,}{strength}{also}")
    pairs = closest_pairs(mask)
    if pairs:
        lines += ["", f"{'concepts that share most neurons':<56}{'IoU, %':>8}{'chance, %':>11}"]
        lines += [f"{f'{one} and {two}':<56}{shared:>8.1f}{chance:>11.1f}" for one, two, shared, chance in pairs]
    width = max(map(len, mask.shapes)) + 2
    lines += ["", f"{'layer':<{width}}{'shape':>12}{verb:>10}{'share':>9}"]
    for name, share in mask.layer_sparsity.items():
        outputs, inputs = mask.shapes[name]
        lines.append(f"{name:<{width}}{f'{outputs}x{inputs}':>12}{len(mask.pruned[name]):>10,}{share:>9.2%}")
    lines += [
        "",
        f"{verb:<10}{mask.number_pruned:,} connections: {mask.sparsity:.2%} of the maskable layers, "
        f"{mask.denoiser_sparsity:.3%} of the {mask.architecture}",
        f"spared    {mask.number_spared:,} that {mask.agnostic_threshold} or more of the {len(mask.concepts)} concepts "
        f"share (alpha {mask.agnostic_ratio:g})",
        f"model     {mask.model}, weights {mask.weights_hash[:12]}",
    ]
    if mask.rewriting is not None:
        named = ", ".join(mask.rewriting.kept_names)
        words = f"{mask.rewriting.number_of_words} common words" if mask.rewriting.number_of_words else ""
        lines.append(f"retained  {', '.join(filter(None, ('the base prompts', named, words)))}")
    for settings in mask.settings:
        lines.append("settings  " + ", ".join(f"{key} {value}" for key, value in settings.items()))
    return "\n".join(map(visible, lines))


def visible(text: str) -> str:
    """Returns a line with an escape in place of each character that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
