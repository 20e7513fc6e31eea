"""The mask as a patch: what it adds to the weights, in the format of LyCORIS that web UIs load like a LoRA.

For each layer that changes, the file holds `NAME.diff`, a dense tensor of the weight's shape: what the mask makes of
the weight, less the weight. A tool adds it times the strength. There is no alpha: it scales low-rank products only.

    weight + 1.0 * (0 - weight) is exactly 0, and weight + 0.0 * (0 - weight) is the weight,

where the tool holds the model in the type the patch was made in.
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

_SD2_TEXT_WIDTH = 1024  # the width of the text encoder that came with 2.x; that of 1.x is 768


def write_patch(pipe: DiffusionPipeline, mask: NeuronMask, out: Path, *, check_weights: bool = True) -> None:
    """Writes the mask as a patch for this model, in the type that the pipeline was loaded in.

    Raises:
        ValueError: if the mask does not fit the model, or changes nothing in it.
    """
    tensors = patch_tensors(pipe, mask, check_weights=check_weights)
    with written_whole(out) as partial:
        save_file(tensors, partial, patch_metadata(get_unet(pipe), mask))


def patch_tensors(pipe: DiffusionPipeline, mask: NeuronMask, *, check_weights: bool = True) -> dict[str, Tensor]:
    """Returns what is to be added to each weight that the mask changes, by the name web UIs know it by."""
    denoiser = get_unet(pipe, "For others write a folder, or the denoiser alone: --format folder, --format denoiser.")
    return {
        f"{lora_name(layer, denoiser)}.diff": change.after - change.before
        for layer, change in changed_weights(pipe, mask, check_weights=check_weights).items()
    }


def patch_metadata(denoiser: nn.Module, mask: NeuronMask) -> dict[str, str]:
    """Returns what web UIs read to tell which models a file is for, and show to their user."""
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
