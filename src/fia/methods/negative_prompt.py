"""The negative prompt: guidance away from the concepts' names at inference. The model does not change.

Classifier-free guidance starts from the prediction for the empty prompt. Here it starts from the prediction for the
names of the concepts. Everyone can do this today, for free, and whoever sets the prompt can undo it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..errors import UnsupportedError

log = logging.getLogger("fia")


@dataclass(frozen=True)
class NegativePromptEdit:
    """A negative prompt for every image that is generated.

    Attributes:
        text: the negative prompt of every call that has none.
    """

    text: str

    @contextmanager
    def applied(self, pipe: DiffusionPipeline) -> Iterator[DiffusionPipeline]:
        """Gives the pipeline the negative prompt within a `with` block."""
        encode, parameters = pipe.encode_prompt, signature(pipe.encode_prompt)

        def encode_prompt(*args: Any, **kwargs: Any) -> Any:
            given = parameters.bind(*args, **kwargs)
            if not given.arguments.get("negative_prompt"):  # some pipelines give an empty text for none
                prompt = given.arguments["prompt"]
                given.arguments["negative_prompt"] = self.text if isinstance(prompt, str) else [self.text] * len(prompt)
            return encode(*given.args, **given.kwargs)

        pipe.encode_prompt = encode_prompt
        try:
            yield pipe
        finally:
            del pipe.encode_prompt

    def check(self, pipe: DiffusionPipeline) -> None:
        """Raises TypeError if the pipeline takes no negative prompt."""
        encode = getattr(pipe, "encode_prompt", None)
        if encode is None or "negative_prompt" not in signature(encode).parameters:
            raise UnsupportedError(f"{type(pipe).__name__} takes no negative prompt; use another model.")

    def changed_percent(self, pipe: DiffusionPipeline) -> float:
        """Returns 0: the model stays as it is."""
        return 0.0


@dataclass(frozen=True)
class NegativePrompt:
    """Guidance away from the names of the concepts."""

    paper: ClassVar[str] = "none; classifier-free guidance, Ho and Salimans, arXiv 2207.12598"

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NegativePromptEdit:
        """Returns the negative prompt of all names. Warns if it is too long for the text encoder."""
        text = ", ".join(concept.name for concept in concepts)
        length, most = len(pipe.tokenizer(text).input_ids), pipe.tokenizer.model_max_length
        if length > most:
            log.warning(
                f"The negative prompt has {length} tokens, but the text encoder reads only the first {most}. The last "
                "concepts are ignored; forget fewer."
            )
        return NegativePromptEdit(text)
