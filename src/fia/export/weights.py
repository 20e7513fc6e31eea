"""Writes the edited model in diffusers' own layout: the pipeline as a folder, or its denoiser as one file."""

from pathlib import Path

from diffusers import DiffusionPipeline
from safetensors.torch import save_file

from ..files import folder_written_whole, written_whole
from ..masks.mask import NeuronMask


def write_folder(pipe: DiffusionPipeline, mask: NeuronMask, out: Path, *, check_weights: bool = True) -> None:
    """Writes the pipeline with the mask in it as a diffusers folder, whole or not at all."""
    with mask.applied(pipe, check_weights=check_weights), folder_written_whole(out) as partial:
        pipe.save_pretrained(partial)


def write_denoiser(pipe: DiffusionPipeline, mask: NeuronMask, out: Path, *, check_weights: bool = True) -> None:
    """Writes the weights of the denoiser with the mask in it to a safetensors file, by their names in diffusers."""
    with mask.applied(pipe, check_weights=check_weights), written_whole(out) as partial:
        weights = {name: weight.contiguous() for name, weight in mask.denoiser_of(pipe).state_dict().items()}
        save_file(weights, partial, {"format": "pt"})
