"""Describes a mask: as text for people, and as JSON for scripts."""

from typing import Any

from .mask import NeuronMask
from .overlap import closest_pairs, overlap_matrix


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
        "overlap": overlap_matrix(mask).round(2).tolist(),
        "architecture": mask.architecture,
        "weights_hash": mask.weights_hash,
        "provenance": mask.provenance,
    }


def describe(mask: NeuronMask) -> str:
    """Returns the same facts as a few short tables."""
    lines = [f"{'concept':<28}{'sensitive neurons':>18}"]
    for name, count in mask.neuron_counts.items():
        strength = f"  at strength {mask.strengths[name]:g}" if mask.strengths.get(name, 1) != 1 else ""
        lines.append(f"{name:<28}{count:>18,}{strength}")
    pairs = closest_pairs(mask)
    if pairs:
        lines += ["", f"{'concepts that share most neurons':<56}{'IoU, %':>8}{'chance, %':>11}"]
        lines += [f"{f'{one} and {two}':<56}{shared:>8.1f}{chance:>11.1f}" for one, two, shared, chance in pairs]
    width = max(map(len, mask.shapes)) + 2
    lines += ["", f"{'layer':<{width}}{'shape':>12}{'pruned':>10}{'share':>9}"]
    for name, share in mask.layer_sparsity.items():
        outputs, inputs = mask.shapes[name]
        lines.append(f"{name:<{width}}{f'{outputs}x{inputs}':>12}{len(mask.pruned[name]):>10,}{share:>9.2%}")
    lines += [
        "",
        f"pruned   {mask.number_pruned:,} connections: {mask.sparsity:.2%} of the maskable layers, "
        f"{mask.denoiser_sparsity:.3%} of the {mask.architecture}",
        f"spared   {mask.number_spared:,} that {mask.agnostic_threshold} or more of the {len(mask.concepts)} concepts "
        f"share (alpha {mask.agnostic_ratio:g})",
        f"model    {mask.model}, weights {mask.weights_hash[:12]}",
    ]
    for settings in mask.settings:
        lines.append("settings " + ", ".join(f"{key} {value}" for key, value in settings.items()))
    return "\n".join(lines)
