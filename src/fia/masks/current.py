"""The mask that a pipeline carries, without keeping it in a variable."""

from diffusers import DiffusionPipeline

from ..errors import UsageError
from ..models.pipelines import get_denoiser
from .mask import NeuronMask
from .pruning import current_pruning


def current_mask(pipe: DiffusionPipeline) -> NeuronMask | None:
    """Returns the mask that is applied to a pipeline, or None.

    Pipelines that share a denoiser, such as those of `from_pipe`, share its mask.
    """
    present = current_pruning(get_denoiser(pipe))
    mask = None if present is None else present.mask
    assert mask is None or isinstance(mask, NeuronMask)
    return mask


def remove(pipe: DiffusionPipeline) -> NeuronMask:
    """Takes the mask off a pipeline, whichever it is, and returns it. Every weight is back, bit for bit.

    Raises:
        ValueError: if no mask is applied.
    """
    mask = current_mask(pipe)
    if mask is None:
        raise UsageError(
            "No mask is applied to this pipeline, so there is nothing to remove. If it was saved with a mask on, load "
            "the original model."
        )
    mask.remove(pipe)
    return mask
