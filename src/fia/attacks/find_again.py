"""Finds concepts again with the words that an attack found, so that these words no longer bring them back.

Neurons are found on the original weights, with pairs of prompts. A word that stands for the concept's name is put in
the place of the name in each of the concept's prompts; words that stand before a prompt are put before them. The base
prompts stay: they show the scene without the concept and without the new words, which may show the concept themselves.
So the moments A_c and the responses R_c (docs/method.md, section 9) are means over the concept's own prompts and over
as many with the words of each attack. They are not added as a second concept, which would count twice in formula 10 and
stay behind when the concept is taken out of the mask. What is retained stays as it was.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import reduce
from operator import or_
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

from ..concepts import Concept
from ..errors import UsageError
from ..finding.run import find
from ..masks.mask import NeuronMask
from ..processes import processes
from ..settings import Settings
from .interface import FoundWords

Pairs = list[tuple[str, str]]  # a prompt with the concept, and the same scene without it


def with_words(pipe: StableDiffusionPipeline, words: Sequence[FoundWords]) -> tuple[StableDiffusionPipeline, list[str]]:
    """Returns a pipeline that reads new words, and the text that stands for each of `words` in a prompt.

    The tokenizer and the text encoder are its own; it shares everything else.
    """
    reading = copy.copy(pipe)
    reading.tokenizer, reading.text_encoder = copy.deepcopy(pipe.tokenizer), copy.deepcopy(pipe.text_encoder)
    tokens = [[f"<found-{k}-{i}>" for i in range(len(own.embeddings))] for k, own in enumerate(words)]
    every = [token for own in tokens for token in own]
    reading.tokenizer.add_tokens(every)
    before = reading.text_encoder.get_input_embeddings().num_embeddings
    reading.text_encoder.resize_token_embeddings(max(before, len(reading.tokenizer)), mean_resizing=False)
    table = reading.text_encoder.get_input_embeddings().weight
    with torch.no_grad():
        rows = reading.tokenizer.convert_tokens_to_ids(every)
        table[rows] = torch.cat([own.embeddings for own in words]).to(table)
    return reading, [" ".join(own) for own in tokens]


def further_pairs(name: str, pairs: Pairs, words: Sequence[tuple[str, FoundWords]]) -> Pairs:
    """Returns a concept's pairs of prompts with new words.

    Args:
        name: the concept's name.
        pairs: its own pairs.
        words: the words and their texts. Each that replaces the name is put into every pair that holds the name. Those
            that stand before a prompt take turns, so that all of them together make as many pairs as there are.
    """
    named = name_pattern(name)
    further = [
        (named.sub(text, prompt, count=1), base)
        for text, own in words
        if own.replaces_name
        for prompt, base in pairs
        if named.search(prompt)
    ]
    before = [text for text, own in words if not own.replaces_name]
    further += [(f"{before[i % len(before)]} {prompt}", base) for i, (prompt, base) in enumerate(pairs) if before]
    return further


def name_pattern(name: str) -> re.Pattern[str]:
    """Returns a pattern that finds a name as whole words, in any case."""
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def pairs_of(concept: Mapping[str, Any]) -> Pairs:
    """Returns the pairs of prompts in a mask's record of a concept, one for each seed."""
    return [(pair["concept_prompt"], pair["base_prompt"]) for pair in concept.get("prompts", ())]


def check_recorded(mask: NeuronMask, *, named: bool) -> None:
    """Raises ValueError if a mask does not say with which prompts its concepts were found.

    Args:
        mask: the mask.
        named: whether one of the prompts has to hold the concept's name.
    """
    recorded = {concept["name"]: concept for record in mask.provenance for concept in record["concepts"]}
    for name in mask.concepts:
        pairs = pairs_of(recorded.get(name, {}))
        if not pairs:
            raise UsageError(
                f"The mask does not say with which prompts {name!r} was found, so it cannot be found again. Find it "
                "with fia.find (fia forget)."
            )
        if named and not any(name_pattern(name).search(prompt) for prompt, _ in pairs):
            raise UsageError(
                f"None of the prompts that found {name!r} holds this name, so a word that is learned in its place has "
                "none. Give another attack: unlearn-diff-atk."
            )


def find_again(
    pipe: StableDiffusionPipeline, mask: NeuronMask, words: Mapping[str, Sequence[FoundWords]], attack: str
) -> NeuronMask:
    """Returns a mask in which some concepts are found again, with new words beside their own prompts.

    Args:
        pipe: the untouched pipeline, which stays as it is.
        mask: the mask, whose record has each concept's prompts, seeds and settings (`check_recorded`).
        words: all words that attacks found so far, by concept. The other concepts stay as they are.
        attack: title of the attack, for the record.
    """
    listed = [(name, own) for name, found in words.items() for own in found]
    reading, texts = with_words(pipe, [own for _, own in listed])
    by_name: dict[str, list[tuple[str, FoundWords]]] = {name: [] for name in words}
    for (name, own), text in zip(listed, texts, strict=True):
        by_name[name].append((text, own))
    masks = [mask.without(*words)]
    for record in mask.provenance:
        again = [concept for concept in record["concepts"] if concept["name"] in words]
        if again:
            wanted = [_with_pairs(concept, by_name[concept["name"]]) for concept in again]
            found = find(reading, wanted, _settings(mask, record), call=record.get("call", {}), processes=processes())
            [new] = found.provenance
            kept = {key: record[key] for key in ("settings", "keep", "words") if key in record}
            masks.append(replace(found, provenance=[new | kept | {"attack": attack}]))
    united = reduce(or_, masks if masks[0].concepts else masks[1:])
    rewriting = united.rewriting
    if rewriting is not None and mask.rewriting is not None:
        sources = {key: source for key, source in rewriting.sources.items() if source.block == "base"}
        sources |= {key: source for key, source in mask.rewriting.sources.items() if source.block != "base"}
        rewriting = replace(rewriting, sources=sources, near=mask.rewriting.near)
    return replace(united, rewriting=rewriting, strengths=mask.strengths)


def _with_pairs(concept: Mapping[str, Any], words: Sequence[tuple[str, FoundWords]]) -> Concept:
    """Returns a concept of a mask's record with its own pairs and those with new words."""
    own = pairs_of(concept)
    prompts = own + further_pairs(concept["name"], list(dict.fromkeys(own)), words)
    ratios = {name: concept.get(name) for name in ("temporal_ratio", "spatial_ratio")}
    synonyms = tuple(concept.get("synonyms", ()))
    return Concept(concept["name"], concept.get("kind", "object"), prompts=tuple(prompts), synonyms=synonyms, **ratios)


def _settings(mask: NeuronMask, record: Mapping[str, Any]) -> Settings:
    """Returns the settings of a record as the mask has them now. What is retained is not collected again."""
    known = {own.name for own in fields(Settings)}
    settings = Settings(**{name: value for name, value in record["settings"].items() if name in known})
    if mask.rewriting is not None:
        settings = replace(settings, retain_weight=mask.rewriting.retain_weight, ridge=mask.rewriting.ridge)
    return replace(
        settings,
        edit=mask.edit,
        sites=mask.sites,
        layers=mask.layer_pattern,
        agnostic_ratio=mask.agnostic_ratio,
        retained_words=0,
        seeds_per_prompt=1,  # the record has a pair for each seed
    )
