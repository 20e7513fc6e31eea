"""Writes a mask as a plain LoRA: the solution with every connection free, cut to a low rank (docs/method.md, 9).

With every connection of its layers free, D = R inv(H) has at most the rank of R, which is a few for each concept. So
its leading singular vectors are a LoRA: D ~ B A, with B (outputs, rank) and A (rank, inputs). diffusers, ComfyUI and
web UIs load it, at any strength, and no training is involved.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..errors import UsageError
from ..files import written_whole
from ..masks.mask import NeuronMask
from ..masks.solve import solve_whole
from ..models.layers import layers_named
from ..models.pipelines import denoiser_name
from .names import lora_name

Keys = Literal["diffusers", "webui"]
RIDGE = 1.0  # with every connection free, a small ridge changes what nobody named (docs/findings.md)
SHARE = 0.99  # of the squared norm of D that the rank keeps, if none is given


@dataclass(frozen=True)
class LoraSize:
    """The rank of a LoRA, and the share of the squared norm of the solution that it keeps, in [0, 1]."""

    rank: int
    share: float


def write_lora(
    pipe: DiffusionPipeline,
    mask: NeuronMask,
    out: Path,
    *,
    rank: int | None = None,
    keys: Keys | None = None,
    ridge: float = RIDGE,
    check_weights: bool = True,
) -> LoraSize:
    """Writes a mask as a LoRA for this model, in the type in which the pipeline was loaded; returns its size.

    Args:
        pipe: the pipeline.
        mask: a mask that rewrites. Its moments count, its neurons do not.
        out: the file to write.
        rank: number of singular vectors. None takes as few as keep SHARE of the squared norm of the solution.
        keys: "webui" for the names of kohya's trainers, which diffusers, ComfyUI and web UIs read (U-Nets only);
            "diffusers" for those of diffusers and peft, of which ComfyUI skips a U-Net's attentions. None takes the
            first for U-Nets, and the second for transformers.
        ridge: lambda of formula 10.
        check_weights: as for `NeuronMask.apply`.

    Raises:
        ValueError: if the mask does not rewrite or does not fit, or the rank is below 1.
    """
    if mask.rewriting is None or not mask.concepts:
        raise UsageError(
            "A LoRA adds to weights, and this mask sets them to zero. Find a mask that rewrites (--edit rewrite), or "
            "write a patch (--format patch)."
        )
    if rank is not None and rank < 1:
        raise UsageError(f"rank={rank}; it must be at least 1.")
    mask.check(pipe, check_weights=check_weights)
    mask = mask.with_retain_weight(mask.rewriting.retain_weight, ridge=ridge)
    assert mask.rewriting is not None
    solved = {}
    for layer in tqdm(mask.shapes, desc="Solving", unit="layer", delay=2, leave=False):
        response = mask.rewriting.response(layer, mask.strengths)
        left, values, right = torch.linalg.svd(
            solve_whole(mask.rewriting.quadratic(layer), response), full_matrices=False
        )
        solved[layer] = left, values, right
    longest = max(len(values) for _, values, _ in solved.values())
    squares = torch.stack([F.pad(values.square(), (0, longest - len(values))) for _, values, _ in solved.values()])
    kept = (squares.sum(0).cumsum(0) / squares.sum()).tolist()
    size = rank or 1 + next(i for i, share in enumerate(kept) if share >= SHARE)
    denoiser = mask.denoiser_of(pipe)
    if keys is None:
        keys = "webui" if isinstance(denoiser, UNet2DConditionModel) else "diffusers"
    layers = layers_named(denoiser, solved)
    tensors: dict[str, Tensor] = {}
    for layer, (left, values, right) in solved.items():
        up, down = left[:, :size] * values[:size].sqrt(), values[:size].sqrt()[:, None] * right[:size]
        down = F.pad(down, (layers[layer].first_input, 0))  # an attention's inputs come before those of the layer
        if isinstance(layers[layer].module, nn.Conv2d):
            up, down = up[:, :, None, None], down[:, :, None, None]
        up, down = (part.to(denoiser.dtype).contiguous() for part in (up, down))
        if keys == "diffusers":
            name = f"{denoiser_name(pipe)}.{layer}"
            tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
        else:
            name = lora_name(layer, denoiser)
            alpha = torch.tensor(float(len(down)), dtype=denoiser.dtype)
            tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": alpha}
    with written_whole(out) as partial:
        save_file(tensors, partial, {"format": "pt", "modelspec.title": f"Without {', '.join(mask.concepts)}"})
    return LoraSize(size, kept[min(size, longest) - 1])
