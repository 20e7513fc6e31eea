"""The folders that a training of the embedded model writes, and their files."""

from pathlib import Path

from diffusers import DiffusionPipeline
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME
from transformers import CLIPImageProcessorPil, CLIPTokenizer, PreTrainedModel

from ..files import folder_written_whole
from ..models.pipelines import get_denoiser
from .places import IMAGE_SIZE
from .pretrained import Architecture

DENOISER_FILE: dict[Architecture, Path] = {
    "unet": Path("model", "unet", SAFETENSORS_WEIGHTS_NAME),
    "dit": Path("dit", "transformer", SAFETENSORS_WEIGHTS_NAME),
    "mmdit": Path("mmdit", "transformer", SAFETENSORS_WEIGHTS_NAME),
}


def curves_file(folder: Path, architecture: Architecture) -> Path:
    """Returns the file with the losses of all stages of a training, or of its transformer."""
    return (folder if architecture == "unet" else folder / architecture) / "curves.json"


def image_processor() -> CLIPImageProcessorPil:
    """Returns the processor that turns an image into numbers in [-1, 1] for the CLIP and the classifier."""
    side = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return CLIPImageProcessorPil(size=side, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def save(
    model: PreTrainedModel | DiffusionPipeline,
    folder: Path,
    *companions: CLIPTokenizer | CLIPImageProcessorPil,
) -> None:
    """Writes a model in float16 and its companions to a temporary folder, then moves that into place."""
    # The text encoder stays float32, because transformers loads the stored type and diffusers loads float32.
    halved = [get_denoiser(model), model.vae] if isinstance(model, DiffusionPipeline) else [model]
    halved = [part for part in halved if part is not None]
    for part in halved:
        part.half()
    with folder_written_whole(folder) as partial:
        model.save_pretrained(partial)
        for companion in companions:
            companion.save_pretrained(partial)
    for part in halved:
        part.float()
