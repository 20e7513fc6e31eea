"""Embeds texts with a pipeline's text encoders."""

from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def embed(pipe: DiffusionPipeline, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
    """Returns the embedding of each text that the denoiser's cross-attentions get."""
    embeddings: Tensor = pipe.encode_prompt(
        list(texts), device=pipe._execution_device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )[0]
    return embeddings


def tail_embeddings(pipe: DiffusionPipeline, texts: Sequence[str]) -> list[Float[Tensor, "n width"]]:
    """Returns the embeddings of each text from its last token onwards, cut to the same length n.

    The last token is the one before the end-of-text token. For an empty text, it is the start token.
    """
    embeddings = embed(pipe, texts)
    lasts = [len(pipe.tokenizer(text, truncation=True).input_ids) - 2 for text in texts]
    length = embeddings.shape[1] - max(lasts)
    return [row[last : last + length] for row, last in zip(embeddings, lasts, strict=True)]
