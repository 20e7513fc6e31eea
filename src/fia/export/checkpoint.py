"""Writes a single-file checkpoint in its original layout, with the mask in it and everything else unchanged."""

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
_AVERAGE = "model_ema."  # a second U-Net, the average of the first over training; it would still generate everything


def write_checkpoint(
    pipe: DiffusionPipeline, mask: NeuronMask, out: Path, source: Path, *, check_weights: bool = True
) -> None:
    """Writes the checkpoint from which the pipeline was loaded, with the weights that the mask changes.

    All other tensors, all other entries of the changed tensors, all types and the file's metadata stay bit for bit.
    Averaged weights (EMA) are left out, because they still hold what the mask prunes.

    Args:
        pipe: the pipeline, loaded from `source` in float32, which holds every value of a smaller type.
        mask: the mask.
        out: the file to write.
        source: a single-file checkpoint.
        check_weights: as for `NeuronMask.apply`.

    Raises:
        ValueError: if the mask does not fit, or the file does not hold the model's weights under the original names.
    """
    unet = get_unet(pipe, "For other models, write a folder or only the denoiser: --format folder, --format denoiser.")
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
                f"{source} does not hold the weights of layer {layer} as {key}, so the mask cannot change them there. "
                "Write a folder instead: --format folder."
            )
        tensors[key] = torch.where(change.before != change.after, change.after.to(there.dtype), there)
    with written_whole(out) as partial:
        save_file(tensors, partial, metadata)
