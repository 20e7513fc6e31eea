"""Writes a mask as a patch: what it adds to the weights, in LyCORIS's format, which web UIs load like a LoRA.

For each layer that changes, the file holds `NAME.diff`, a dense tensor of the weight's shape: the weight with the mask
minus the weight without it. A tool adds it times the strength. There is no alpha, which only scales low-rank products.

    weight + 1.0 * (0 - weight) is exactly 0, and weight + 0.0 * (0 - weight) is the weight,

if the tool holds the model in the type in which the patch was made. A new value in place of a zero is rounded to it.
"""

import json
from pathlib import Path

from diffusers import DiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files import written_whole
from ..masks.mask import NeuronMask
from ..models.pipelines import get_unet
from .changes import changed_weights
from .names import is_xl, lora_name

_SD2_TEXT_WIDTH = 1024  # width of the text encoder of 2.x; that of 1.x is 768


def write_patch(pipe: DiffusionPipeline, mask: NeuronMask, out: Path, *, check_weights: bool = True) -> None:
    """Writes the mask as a patch for this model, in the type in which the pipeline was loaded.

    Raises:
        ValueError: if the mask does not fit the model, or changes no weight of it.
    """
    tensors = patch_tensors(pipe, mask, check_weights=check_weights)
    with written_whole(out) as partial:
        save_file(tensors, partial, patch_metadata(get_unet(pipe), mask))


def patch_tensors(pipe: DiffusionPipeline, mask: NeuronMask, *, check_weights: bool = True) -> dict[str, Tensor]:
    """Returns what to add to each weight that the mask changes, by the layer's name in web UIs."""
    denoiser = get_unet(
        pipe, "For other models, write a folder or only the denoiser: --format folder, --format denoiser."
    )
    return {
        f"{lora_name(layer, denoiser)}.diff": change.after - change.before
        for layer, change in changed_weights(pipe, mask, check_weights=check_weights).items()
    }


def patch_metadata(denoiser: nn.Module, mask: NeuronMask) -> dict[str, str]:
    """Returns the metadata that tell web UIs which models the file is for, and that they show to their users."""
    version_2 = denoiser.config.cross_attention_dim == _SD2_TEXT_WIDTH  # type: ignore[union-attr]
    base = "sdxl_base_v1-0" if is_xl(denoiser) else "sd_v2" if version_2 else "sd_v1"
    return {
        "ss_network_module": "lycoris.kohya",
        "ss_network_args": json.dumps({"algo": "full"}),
        "ss_base_model_version": base,
        "ss_v2": str(version_2),
        "modelspec.title": f"Without {', '.join(mask.concepts)}",
        "modelspec.description": "Made by Forget-It-All; use it at strength 1, with the model it was made for.",
    }
