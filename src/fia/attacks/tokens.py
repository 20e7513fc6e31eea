"""The tokens of a prompt: their ids, their embeddings, and the words that an attack may use."""

import string
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import UsageError

SHORTEST_BANNED = 2  # letters of a word that is short enough to be an article, and is not banned

Ids = Int[Tensor, "n tokens"]


def words_of(pipe: StableDiffusionPipeline, text: str) -> list[int]:
    """Returns the ids of a text's tokens, without those of its start and end."""
    ids: list[int] = pipe.tokenizer(text, add_special_tokens=False, truncation=False).input_ids
    return ids


def most_words(pipe: StableDiffusionPipeline) -> int:
    """Returns how many tokens a prompt may have besides those of its start and end."""
    return int(pipe.tokenizer.model_max_length) - 2


def sequence(pipe: StableDiffusionPipeline, words: Sequence[int]) -> Int[Tensor, " tokens"]:
    """Returns the ids that the text encoder gets: start, words, end, padding. Words that are too many are cut off."""
    tokenizer = pipe.tokenizer
    ids = [tokenizer.bos_token_id, *words[: most_words(pipe)], tokenizer.eos_token_id]
    return torch.tensor(ids + [tokenizer.pad_token_id] * (tokenizer.model_max_length - len(ids)))


def token_table(pipe: StableDiffusionPipeline) -> Float[Tensor, "vocabulary width"]:
    """Returns the embedding of every token."""
    table: Tensor = pipe.text_encoder.get_input_embeddings().weight.detach()
    return table


def encode(
    pipe: StableDiffusionPipeline, ids: Ids, embeddings: Float[Tensor, "n tokens width"] | None = None
) -> tuple[Float[Tensor, "n tokens width"], Float[Tensor, "n width"]]:
    """Returns what the denoiser reads for each prompt, and the embedding of the whole prompt (at its end token).

    Args:
        pipe: the pipeline.
        ids: the tokens of each prompt.
        embeddings: embeddings of these tokens, in place of those in the table. Gradients pass.
    """
    encoder = pipe.text_encoder
    with replaced_output(encoder.get_input_embeddings(), embeddings):
        output = encoder(ids.to(encoder.device))
    return output.last_hidden_state, output.pooler_output


@contextmanager
def replaced_output(module: nn.Module, output: Tensor | None) -> Iterator[None]:
    """Makes a module return this output within a `with` block, whatever its input is; None leaves it as it is."""
    if output is None:
        yield
        return
    hook = module.register_forward_hook(lambda *_: output)
    try:
        yield
    finally:
        hook.remove()


def allowed_words(pipe: StableDiffusionPipeline, banned: Iterable[str]) -> Int[Tensor, " words"]:
    """Returns the ids of tokens that are whole words of letters, read back as themselves, and hold no banned word.

    Raises:
        ValueError: if there are none.
    """
    tokenizer = pipe.tokenizer
    stems = {word.lower() for text in banned for word in text.split() if len(word) > SHORTEST_BANNED}
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))], skip_special_tokens=True)
    fitting = [
        (i, text.strip().lower())
        for i, text in enumerate(texts)
        if text.strip() and all(letter in string.ascii_letters for letter in text.strip())
    ]
    read_back = tokenizer([text for _, text in fitting], add_special_tokens=False).input_ids if fitting else []
    words = [
        i
        for (i, text), ids in zip(fitting, read_back, strict=True)
        if ids == [i] and not any(stem in text or (len(text) > 3 and text in stem) for stem in stems)
    ]
    if not words:
        raise UsageError("The model's tokenizer has no whole words besides the concept's own; leave the attack out.")
    return torch.tensor(words)


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Returns the value of `hard` with the gradient of `soft`."""
    return hard + soft - soft.detach()
