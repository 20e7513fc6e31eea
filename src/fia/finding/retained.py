"""Collects the moments of what a model should go on drawing: names that the user gives, and a list of words.

Of the list, those words are used that the model's tokenizer reads as one token: fragments mean nothing to the model.
Their moments are the same for every mask of a model. So they are kept in a cache beside Hugging Face's, in a file that
is named after a hash of the model and of all settings that matter.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from diffusers import DiffusionPipeline
from huggingface_hub.constants import HF_HOME
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..concepts import Concept
from ..files import written_whole
from ..masks.low_rank import Moment
from ..masks.rewriting import NAMED, NEAR, WORD, Source
from ..masks.rewriting_file import pack_moments, take_moments
from ..models.layers import layer_shapes
from ..models.pipelines import active_adapters
from ..prompts import OBJECTS, PLACES, fill
from ..provenance import hash_json, hash_pipeline, versions
from .collect import run_prompts, with_smaller_batches
from .moments import MomentSketch, SourceMoments
from .observe import Observer
from .plan import PROMPTS_OF_NAME, FindingPlan, batches_of
from .progress import Progress
from .words import in_turn

log = logging.getLogger("fia")

FIRST_SEED = 5_000_000  # far from the seeds that find concepts
WORD_RANK, LIST_RANK = 8, 48  # eigenvectors that are kept of a word, and of the whole list
USUAL_WORDS = 64  # of the list, whose mean embedding is taken off
NEARNESS = 0.8  # a word is near a concept if the cosine of what is left of their embeddings is at least this

Moments = dict[str, Moment]  # by layer


def retained_prompts(name: str, kind: str, number: int) -> list[str]:
    """Returns the prompts of a name or word.

    Args:
        name: the name.
        kind: a kind of concepts, or a category of words.
        number: its number in the list. It decides the places and objects in the prompts.
    """
    place, objects = (
        PLACES[number % len(PLACES)],
        [OBJECTS[(number + i) % len(OBJECTS)] for i in range(PROMPTS_OF_NAME)],
    )
    if kind in ("style", "styles"):
        return [fill("a {object} in the style of {name}", object=thing, name=name) for thing in objects]
    if kind in ("place", "places"):
        return [fill(f"{start} {{name}}", name=name) for start in ("a", "a photo of a", "an empty")]
    return [fill(text, name=name, place=place) for text in ("a {name}", "a photo of a {name}", "a {name} in a {place}")]


def text_features(pipe: DiffusionPipeline, names: Sequence[str]) -> Float[Tensor, "names width"] | None:
    """Returns one vector of length 1 for each name, from the pipeline's first text encoder; None if it has none.

    It is the encoder's own summary of the text, or the mean over its tokens if it makes no summary.
    """
    encoder, tokenizer = getattr(pipe, "text_encoder", None), getattr(pipe, "tokenizer", None)
    if not isinstance(encoder, PreTrainedModel) or not isinstance(tokenizer, PreTrainedTokenizerBase):
        return None
    features = []
    with torch.no_grad():
        for name in names:
            tokens = tokenizer([fill("a {name}", name=name)], return_tensors="pt", truncation=True).to(encoder.device)
            output = encoder(input_ids=tokens.input_ids)
            pooled = next((output[key] for key in ("text_embeds", "pooler_output") if key in output), None)
            features.append((output[0].mean(dim=1) if pooled is None else pooled)[0].float().cpu())
    return torch.nn.functional.normalize(torch.stack(features), dim=1)


def near_words(
    pipe: DiffusionPipeline, concepts: Sequence[Concept], words: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Returns, for each concept, the words that mean nearly the same to the pipeline's text encoder.

    Embeddings of short texts all have much in common, and some encoders' more than others'. So the mean embedding of
    common words is taken off before they are compared.
    """
    names = [name for concept in concepts for name in concept.words]
    usual = [word for word, _ in in_turn()[:USUAL_WORDS]]
    texts = list(dict.fromkeys([*names, *words, *usual]))
    features = text_features(pipe, texts)
    close = dict.fromkeys(names, [False] * len(words))
    if features is not None:
        at = {text: i for i, text in enumerate(texts)}
        own = features - features[[at[word] for word in usual]].mean(dim=0)
        own = torch.nn.functional.normalize(own, dim=1)
        of_names, of_words = own[[at[name] for name in names]], own[[at[word] for word in words]]
        close = dict(zip(names, (of_names @ of_words.T >= NEARNESS).tolist(), strict=True))
    return {
        concept.name: tuple(
            word
            for i, word in enumerate(words)
            if any(close[name][i] or word.casefold() in name.casefold().split() for name in concept.words)
        )
        for concept in concepts
    }


def retain(
    plan: FindingPlan, steps: Progress, processes: PartialState | None
) -> tuple[dict[str, Source], dict[str, tuple[str, ...]]]:
    """Returns what a mask retains beside its base prompts, by key, and for each concept the keys of the words near it.

    Args:
        plan: the plan of the run.
        steps: counts the steps.
        processes: accelerate's state, if several processes share the work.
    """
    named = [(concept.name, concept.kind, crc32(concept.name.encode()) % 100_000) for concept in plan.keep]
    sketches = collect_moments(plan, named, steps, processes)
    sources = {
        NAMED + name: Source("named", {layer: sketch.low_rank(WORD_RANK) for layer, sketch in own.items()})
        for (name, _, _), own in zip(named, sketches, strict=True)
    }
    if not plan.words:
        return sources, {}
    identity = hash_words(plan)
    cached = cache_file(identity)
    is_main = processes is None or processes.is_main_process
    kept = read_cache(cached, plan) if is_main else None
    if processes is not None and processes.num_processes > 1:
        [kept] = broadcast_object_list([kept])  # if only some found it, the others would wait for them for ever
    if kept is None:
        listed = [(word, category, i) for i, (word, category) in enumerate(plan.words)]
        sketches = collect_moments(plan, listed, steps, processes)
        kept = [{layer: sketch.low_rank(WORD_RANK) for layer, sketch in own.items()} for own in sketches]
        kept.append({layer: _sum([own[layer] for own in sketches]).low_rank(LIST_RANK) for layer in plan.layers})
        if is_main:
            write_cache(cached, kept)
    else:
        steps.skip(steps.total - steps.done)
    *words, whole = kept
    near = near_words(plan.pipe, [concept for concept, _ in plan.pairs], [word for word, _ in plan.words])
    by_word = dict(zip((word for word, _ in plan.words), words, strict=True))
    taken = dict.fromkeys(word for found in near.values() for word in found)
    if 2 * len(taken) <= len(words):
        sources[f"words {identity}"] = Source("words", whole, len(words))
        sources |= {f"{NEAR}{identity} {word}": Source("near", by_word[word]) for word in taken}
    else:
        left = [word for word in by_word if word not in taken]
        sources |= {f"{WORD}{identity} {word}": Source("word", by_word[word]) for word in left}
    return sources, {name: tuple(f"{NEAR}{identity} {word}" for word in found) for name, found in near.items()}


def collect_moments(
    plan: FindingPlan,
    names: Sequence[tuple[str, str, int]],
    steps: Progress,
    processes: PartialState | None,
) -> list[dict[str, MomentSketch]]:
    """Runs the first steps for names and returns the sketches of each, by layer.

    Args:
        plan: the plan of the run.
        names: names with their kinds, and a number each that decides the place and the seeds of its prompts.
        steps: counts the steps.
        processes: accelerate's state, if several processes share the work.
    """
    index, number = (0, 1) if processes is None else (processes.process_index, processes.num_processes)
    found: list[tuple[int, dict[str, MomentSketch]]] = []
    for batch in batches_of(names)[index::number]:
        steps.describe(f"Retaining {names[batch[0]][0]}" + (f" and {len(batch) - 1} more" if len(batch) > 1 else ""))
        moments = moments_of(plan, names[batch.start : batch.stop], steps)
        found += [(i, {layer: own[k].on_cpu() for layer, own in moments.layers.items()}) for k, i in enumerate(batch)]
    if number > 1:
        found = gather_object(found)
    return [own for _, own in sorted(found, key=lambda pair: pair[0])]


def moments_of(plan: FindingPlan, names: Sequence[tuple[str, str, int]], steps: Progress) -> SourceMoments:
    """Runs the first steps for some names together; see `collect_moments`."""
    prompts = [text for name in names for text in retained_prompts(*name)]
    seeds = [FIRST_SEED + PROMPTS_OF_NAME * number + k for _, _, number in names for k in range(PROMPTS_OF_NAME)]

    def collect(batch_size: int) -> SourceMoments:
        moments = SourceMoments(plan.layers, len(names), PROMPTS_OF_NAME)
        with Observer(plan.layers, only_inputs, moments.receive) as observer:
            run_prompts(plan, prompts, seeds, observer, batch_size, steps, plan.run_of_names)
        return moments

    return with_smaller_batches(plan, collect, steps)


def only_inputs(_weight: Tensor, inputs: Tensor, _outputs: Tensor, _bias: Tensor | None) -> Tensor:
    """Returns the inputs of some rows."""
    return inputs


def _sum(sketches: Sequence[MomentSketch]) -> MomentSketch:
    total = MomentSketch()
    for sketch in sketches:
        total.include(sketch)
    return total


def hash_words(plan: FindingPlan) -> str:
    """Returns a hash of everything that the moments of the words depend on."""
    made_with = {
        "words": plan.words,
        "layers": list(plan.layers),
        "run": plan.run_of_names,
        "call": dict(plan.call),
        "prompts": PROMPTS_OF_NAME,
        "seed": FIRST_SEED,
        "ranks": (WORD_RANK, LIST_RANK),
        "adapters": active_adapters(plan.pipe),
        "versions": versions(),
    }
    config = {key: value for key, value in plan.denoiser.config.items() if not key.startswith("_")}
    return hash_json([made_with, config, hash_pipeline(plan.pipe)])[:16]


def cache_file(identity: str) -> Path:
    """Returns the file that keeps the moments of a list of words for a model."""
    return Path(HF_HOME, "fia", "retained", f"{identity}.safetensors")


def read_cache(file: Path, plan: FindingPlan) -> list[Moments] | None:
    """Returns the moments of every word, and those of the whole list at the end; None if the file is not there."""
    if not file.is_file():
        return None
    shapes = layer_shapes(plan.layers)
    try:
        tensors = load_file(file)
        ranks = [WORD_RANK] * len(plan.words) + [LIST_RANK]
        return [take_moments(tensors, f"source_{{}}.{i}", rank, shapes) for i, rank in enumerate(ranks)]
    except (OSError, ValueError, SafetensorError) as error:
        log.warning(f"{file} is damaged ({error}); it is made again.")
        return None


def write_cache(file: Path, kept: Sequence[Moments]) -> None:
    """Writes the moments of every word and of the whole list, or logs a warning."""
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    for i, moments in enumerate(kept):
        tensors |= pack_moments(f"source_{{}}.{i}", moments.values())
    try:
        with written_whole(file) as partial:
            save_file(tensors, partial)
    except OSError as error:
        log.warning(
            f"What the model retains cannot be kept for the next mask: {error}. Set HF_HOME to a folder that can be "
            "written to."
        )
