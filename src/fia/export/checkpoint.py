"""A single-file checkpoint in its original layout, with the mask in it and everything else as it was."""

from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import UsageError
from ..files import written_whole
from ..masks.mask import NeuronMask
from ..models.pipelines import get_unet
from .changes import changed_weights
from .names import original_name

_DENOISER = "model.diffusion_model."
_AVERAGE = "model_ema."  # a second U-Net, the average of the first in training, that would still draw everything


def write_checkpoint(
    pipe: DiffusionPipeline, mask: NeuronMask, out: Path, source: Path, *, check_weights: bool = True
) -> None:
    """Writes the checkpoint that the pipeline was loaded from, with the weights that the mask changes.

    Every other tensor, every other entry of these, all types and the file's metadata stay bit for bit. Averaged weights
    (EMA) are left out, since they still hold what is pruned.

    Args:
        pipe: loaded from `source` in float32, which holds what any smaller type does.
        source: a single-file checkpoint.

    Raises:
        ValueError: if the mask does not fit, or the file does not hold the model's weights under the original names.
    """
    unet = get_unet(pipe, "For others write a folder, or the denoiser alone: --format folder, --format denoiser.")
    changes = changed_weights(pipe, mask, check_weights=check_weights)
    with safe_open(source, framework="pt") as file:
        keys = [key for key in file.keys() if not key.startswith(_AVERAGE)]  # noqa: SIM118
        tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in keys}
        metadata = file.metadata()
    for layer, change in changes.items():
        key = f"{_DENOISER}{original_name(layer, unet.config.layers_per_block)}.weight"
        there = tensors.get(key)
        if there is None or not torch.equal(there.to(change.before.dtype), change.before):
            raise UsageError(
                f"{source} does not hold the weights of layer {layer} as {key}, so they cannot be changed in it. Write "
                "a folder instead: --format folder."
            )
        tensors[key] = torch.where(change.before != change.after, change.after.to(there.dtype), there)
    with written_whole(out) as partial:
        save_file(tensors, partial, metadata)
