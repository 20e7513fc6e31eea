"""Two nodes that make a model forget: with a mask, or with a patch or a LoRA that `fia apply` wrote.

Both return a clone of the model with patches, so the model that comes in stays as it is. They follow the API of ComfyUI
0.38: `ModelPatcher.clone`, `add_patches` and `get_key_patches`, and the names of `comfy.lora.model_lora_keys_unet`.
"""

import re
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.utils
import folder_paths
from torch import Tensor

from fia import NeuronMask
from fia.errors import UnsupportedError, UsageError
from fia.export.changes import changes_of_weights

MASKS, FILES = "fia_masks", "loras"
NEURONS = "neurons.safetensors"
END = re.compile(r"\.(diff|alpha|lora_(up|down|A|B)\.weight)$")

folder_paths.add_model_folder_path(MASKS, str(Path(folder_paths.models_dir) / MASKS))

SWITCHES = {
    "strength": (
        "FLOAT",
        {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.05, "tooltip": "1 is the whole change, 0 none of it."},
    ),
    "on": ("BOOLEAN", {"default": True, "tooltip": "Off: the model passes through as it is."}),
}


class ForgetWithMask:
    """Applies a mask, a folder that `fia forget` wrote, to a model."""

    CATEGORY = "loaders"
    DESCRIPTION = "Makes the model forget what the mask says. The mask lies in models/fia_masks."
    FUNCTION = "forget"
    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (the name is ComfyUI's)
        files = [Path(name) for name in folder_paths.get_filename_list(MASKS)]
        masks = [file.parent.as_posix() for file in files if file.name == NEURONS]
        check = {"default": True, "tooltip": "Refuse a model in which the mask was not found, as a fine-tuned one."}
        return {"required": {"model": ("MODEL",), "mask": (masks,), **SWITCHES, "check_weights": ("BOOLEAN", check)}}

    @classmethod
    def IS_CHANGED(cls, mask: str, **_: Any) -> float:  # noqa: N802 (the name is ComfyUI's)
        return mask_file(mask).stat().st_mtime

    def forget(self, model: Any, mask: str, strength: float, on: bool, check_weights: bool) -> tuple[Any]:
        if not on or strength == 0:
            return (model,)
        found = NeuronMask.from_pretrained(mask_file(mask).parent)
        keys = keys_of_layers(model, found)
        held = model.get_key_patches("diffusion_model.")  # the weights without patches, also while some are in use
        weights = {layer: plain_weight(*held[key][0]) for layer, key in keys.items()}
        changes = changes_of_weights(weights, found, check_weights=check_weights)
        patches = {keys[layer]: ("diff", (change.after - change.before,)) for layer, change in changes.items()}
        return (with_patches(model, patches, strength),)


class ForgetWithFile:
    """Applies a patch or a LoRA, a file that `fia apply` wrote, to a model."""

    CATEGORY = "loaders"
    DESCRIPTION = "Makes the model forget what the file says, wholly or not at all. The file lies in models/loras."
    FUNCTION = "forget"
    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (the name is ComfyUI's)
        files = [name for name in folder_paths.get_filename_list(FILES) if name.endswith(".safetensors")]
        return {"required": {"model": ("MODEL",), "file": (files,), **SWITCHES}}

    @classmethod
    def IS_CHANGED(cls, file: str, **_: Any) -> float:  # noqa: N802 (the name is ComfyUI's)
        return Path(folder_paths.get_full_path_or_raise(FILES, file)).stat().st_mtime

    def forget(self, model: Any, file: str, strength: float, on: bool) -> tuple[Any]:
        if not on or strength == 0:
            return (model,)
        tensors = comfy.utils.load_torch_file(folder_paths.get_full_path_or_raise(FILES, file), safe_load=True)
        keys = comfy.lora.model_lora_keys_unet(model.model, {})
        unknown = sorted({END.sub("", name) for name in tensors} - keys.keys())
        if unknown:
            raise UsageError(
                f"{file} changes {unknown[0]}, which this model does not have under that name, so it would be loaded "
                "in part. Write it for the model that is loaded, and a LoRA without --lora-keys diffusers."
            )
        return (with_patches(model, comfy.lora.load_lora(tensors, keys), strength),)


def mask_file(mask: str) -> Path:
    """Returns the file with the neurons of the mask with this name."""
    return Path(folder_paths.get_full_path_or_raise(MASKS, f"{mask}/{NEURONS}"))


def keys_of_layers(model: Any, mask: NeuronMask) -> dict[str, str]:
    """Returns the key of every layer of the mask in the model's state dict.

    Raises:
        ValueError: if the model has no such layer.
    """
    names = comfy.lora.model_lora_keys_unet(model.model, {})
    keys = {}
    for layer in mask.shapes:
        key = names.get(f"lora_unet_{layer.replace('.', '_')}", names.get(f"transformer.{layer}"))
        if not isinstance(key, str):  # a tuple is a part of a weight
            raise UsageError(
                f"The mask is for a {mask.architecture} ({mask.model}), and this model has no layer {layer}. Load the "
                "model in which the mask was found."
            )
        keys[layer] = key
    return keys


def plain_weight(weight: Tensor, convert: Any) -> Tensor:
    """Returns a weight as ordinary numbers: what ComfyUI can convert is converted, and float8 becomes float32.

    Raises:
        TypeError: if the numbers are packed in another way (GGUF).
    """
    weight = convert(weight, inplace=False)
    if not weight.is_floating_point():
        raise UnsupportedError(
            f"The model's weights are packed as {weight.dtype}, which a mask cannot change. Load the model in float16, "
            "bfloat16 or float8, or use a LoRA (fia apply --format lora)."
        )
    return weight if weight.itemsize > 1 else weight.float()


def with_patches(model: Any, patches: dict[Any, Any], strength: float) -> Any:
    """Returns a clone of the model that has all of the patches."""
    clone = model.clone()
    missing = patches.keys() - set(clone.add_patches(patches, strength))
    if missing:
        raise UsageError(f"The model has no weight {min(map(str, missing))}, so it would forget in part only.")
    return clone


NODE_CLASS_MAPPINGS = {"ForgetWithMask": ForgetWithMask, "ForgetWithFile": ForgetWithFile}
NODE_DISPLAY_NAME_MAPPINGS = {"ForgetWithMask": "Forget (mask)", "ForgetWithFile": "Forget (patch or LoRA)"}
