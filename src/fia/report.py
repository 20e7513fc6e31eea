"""What a mask holds, as text for people and as JSON for scripts."""

from typing import Any

from .mask import NeuronMask


def describe_json(mask: NeuronMask) -> dict[str, Any]:
    """Returns concepts, counts by layer, sparsity and provenance as plain JSON."""
    return {
        "concepts": {name: sum(len(part) for part in layers.values()) for name, layers in mask.neurons.items()},
        "layers": {
            name: {"shape": list(shape), "pruned": len(mask.pruned[name])} for name, shape in mask.shapes.items()
        },
        "pruned": mask.number_pruned,
        "spared": mask.number_spared,
        "sparsity": mask.sparsity,
        "denoiser_sparsity": mask.denoiser_sparsity,
        "agnostic_ratio": mask.agnostic_ratio,
        "agnostic_threshold": mask.agnostic_threshold,
        "architecture": mask.architecture,
        "provenance": mask.provenance,
    }


def describe(mask: NeuronMask) -> str:
    """Returns the same as a few short tables."""
    lines = [f"{'concept':<28}{'sensitive neurons':>18}"]
    for name, layers in mask.neurons.items():
        lines.append(f"{name:<28}{sum(len(part) for part in layers.values()):>18,}")
    width = max(map(len, mask.shapes)) + 2
    lines += ["", f"{'layer':<{width}}{'shape':>12}{'pruned':>10}{'share':>9}"]
    for name, (outputs, inputs) in mask.shapes.items():
        count = len(mask.pruned[name])
        lines.append(f"{name:<{width}}{f'{outputs}x{inputs}':>12}{count:>10,}{count / (outputs * inputs):>9.2%}")
    lines += [
        "",
        f"pruned   {mask.number_pruned:,} connections: {mask.sparsity:.2%} of the maskable layers, "
        f"{mask.denoiser_sparsity:.3%} of the {mask.architecture}",
        f"spared   {mask.number_spared:,} that {mask.agnostic_threshold} or more of the {len(mask.concepts)} concepts "
        f"share (alpha {mask.agnostic_ratio:g})",
        f"model    {mask.provenance.get('model', 'unknown')}",
    ]
    settings = mask.provenance.get("settings", {})
    if settings:
        lines.append("settings " + ", ".join(f"{key} {value}" for key, value in settings.items()))
    return "\n".join(lines)
