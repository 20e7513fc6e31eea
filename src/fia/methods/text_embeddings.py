"""Embeds texts with a pipeline's text encoders."""

from collections.abc import Sequence
from typing import Literal

import torch
from diffusers import DiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from ..concepts import Concept

Positions = Literal["last", "tail"]


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


def embeddings_to_edit(
    pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str], guide: str, positions: Positions
) -> tuple[Float[Tensor, "e width"], Float[Tensor, "e width"], Float[Tensor, "k width"] | None]:
    """Returns the embeddings to erase, the guide's embedding for each of them, and those to keep or None.

    Args:
        pipe: the pipeline.
        concepts: the concepts to erase.
        keep: the names to keep.
        guide: the text in place of a concept.
        positions: "last" takes the last token of each text. "tail" takes all from there on, position by position, and
            all positions of what is kept.
    """
    stop = 1 if positions == "last" else None
    pairs = [tail_embeddings(pipe, [concept.name, guide]) for concept in concepts]
    erased, guides = (torch.cat([pair[i][:stop] for pair in pairs]) for i in (0, 1))
    if not keep:
        return erased, guides, None
    if positions == "last":
        return erased, guides, torch.cat([tail_embeddings(pipe, [name])[0][:1] for name in keep])
    return erased, guides, embed(pipe, keep).flatten(0, 1)
