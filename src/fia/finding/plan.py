"""Plans a run of `find` before anything runs: the prompts, their groups, and where to keep the sums."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from diffusers import DiffusionPipeline, ModelMixin

from ..concepts import Concept, as_concepts, comparable, listed, paper_agnostic_ratio, with_authors_ratios
from ..errors import ArgumentError, UsageError
from ..masks.pruning import refuse_if_pruned
from ..models.families import Guidance, family_of
from ..models.layers import MaskableLayer, hash_weights, maskable_layers
from ..models.pipelines import call_parameters, embedded_name, get_denoiser, get_known_denoiser
from ..prompts import ConceptPairs, prompt_pairs
from ..recommended import recommend
from ..settings import Settings, check_names
from .aside import check_pipeline
from .checks import (
    check_authors_code,
    check_call,
    read_words,
    warn_of_adapters,
    warn_of_guesses,
    warn_of_guidance,
    warn_of_long_prompts,
)
from .memory import MemoryPlan, plan_memory
from .words import usable_words

NAMES_AT_ONCE = 8  # names to keep, or words, that go through the steps together
PROMPTS_OF_NAME, STEPS_OF_NAMES = 3, 3


class FirstSteps(NamedTuple):
    """The first steps of generations.

    Attributes:
        first_steps: number of steps that run.
        num_inference_steps: number of steps of a whole generation.
        guidance_scale: scale of the guidance.
        every_row: whether all rows are observed, and all evaluations of a timestep; see `run_first_steps`.
    """

    first_steps: int
    num_inference_steps: int
    guidance_scale: float
    every_row: bool = False


@dataclass(frozen=True, eq=False)
class FindingPlan:
    """A run of `find`, ready to start.

    Attributes:
        pipe: the pipeline.
        denoiser: the denoiser of the pipeline.
        settings: the settings, with an alpha.
        layers: the layers to watch, by name.
        pairs: every concept with its prompt pairs.
        groups: the same in groups. The concepts of a group share their base prompts and go through the steps together.
        memory: where the running sums are kept.
        keep: what the user names to be kept.
        words: the words to retain, with their categories.
        call: further arguments of the pipeline, such as height and width.
    """

    pipe: DiffusionPipeline
    denoiser: ModelMixin
    settings: Settings
    layers: dict[str, MaskableLayer]
    pairs: ConceptPairs
    groups: list[ConceptPairs]
    memory: MemoryPlan
    keep: tuple[Concept, ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    call: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def weights_hash(self) -> str:
        """Hash of the layers; see `layers.hash_weights`."""
        return hash_weights(self.layers)

    def temporal_ratio(self, concept: Concept) -> float:
        """Returns a concept's r1: its own, or else that of the settings."""
        return self.settings.temporal_ratio if concept.temporal_ratio is None else concept.temporal_ratio

    def spatial_ratio(self, concept: Concept) -> float:
        """Returns a concept's r2: its own, or else that of the settings."""
        assert self.settings.spatial_ratio is not None
        return self.settings.spatial_ratio if concept.spatial_ratio is None else concept.spatial_ratio

    @property
    def steps_of_group(self) -> int:
        """Number of steps that each group goes through."""
        return self.settings.saliency_steps * len(self.memory.parts)

    @property
    def run_of_concepts(self) -> FirstSteps:
        """The steps that the prompts of concepts go through."""
        settings = self.settings
        whole, scale = settings.num_inference_steps, settings.guidance_scale
        return FirstSteps(settings.saliency_steps, whole, scale, settings.as_authors_code)

    @property
    def run_of_names(self) -> FirstSteps:
        """The steps that the names to keep and the words go through.

        Their moments change little from step to step, so a few longer steps over the same times are enough. They need
        no guidance, unless the model guides itself.
        """
        first = min(STEPS_OF_NAMES, self.settings.saliency_steps)
        whole = max(first, round(self.settings.num_inference_steps * first / self.settings.saliency_steps))
        return FirstSteps(first, whole, self.settings.guidance_scale if self._guidance == "distilled" else 0.0)

    def steps_in_all(self, process: int = 0, processes: int = 1) -> int:
        """Returns the number of steps of one of the processes that share the work."""
        batches = sum(len(batches_of(names)[process::processes]) for names in (self.keep, self.words))
        return len(self.groups[process::processes]) * self.steps_of_group + batches * self.run_of_names.first_steps

    @property
    def prompts(self) -> int:
        """Number of prompts that find concepts, with and without them."""
        return sum(map(prompts_of, self.groups))

    @property
    def passes_of_step(self) -> int:
        """How often every prompt goes through the denoiser at a step: twice if guidance needs an unconditional pass."""
        return 1 if self._guidance == "distilled" or self.settings.guidance_scale <= 1 else 2

    @property
    def passes(self) -> int:
        """How often every prompt of a concept goes through the denoiser in all."""
        passes = self.passes_of_step * self.settings.saliency_steps
        if self.passes_of_step == 2 and self._guidance == "separate passes":
            passes -= 1  # we stop before the last unconditional one
        return passes * len(self.memory.parts)

    @property
    def _guidance(self) -> Guidance:
        return family_of(self.denoiser).guidance

    @property
    def rows(self) -> int:
        """Number of rows that go through the denoiser in all. It grows if the scheduler repeats timesteps.

        It shrinks if the moments of the words are known from an earlier mask.
        """
        names = PROMPTS_OF_NAME * (len(self.keep) + len(self.words))
        return self.passes * self.prompts + self.run_of_names.first_steps * names

    @property
    def calls(self) -> int:
        """Number of calls of the denoiser, with at most `batch_size` rows each.

        It grows if the scheduler repeats timesteps, or if texts differ in length. It shrinks as `rows` does.
        """
        batches = [*batches_of(self.keep), *batches_of(self.words)]
        names = sum(-(-PROMPTS_OF_NAME * len(batch) // self.settings.batch_size) for batch in batches)
        concepts = sum(-(-prompts_of(group) // self.settings.batch_size) for group in self.groups)
        return self.passes * concepts + self.run_of_names.first_steps * names


def batches_of(names: Sequence[object]) -> list[range]:
    """Returns the batches of names, or words, that go through the steps together."""
    return [range(i, min(i + NAMES_AT_ONCE, len(names))) for i in range(0, len(names), NAMES_AT_ONCE)]


def plan_finding(
    pipe: DiffusionPipeline,
    concepts: str | Concept | Iterable[str | Concept],
    settings: Settings | None = None,
    *,
    keep: str | Concept | Iterable[str | Concept] = (),
    call: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> FindingPlan:
    """Returns the plan for `find`, after all of its checks and warnings; see `find` for the arguments."""
    denoiser = get_denoiser(pipe)
    call = dict(call or {})
    check_pipeline(pipe, denoiser)
    check_call(pipe, call)
    wanted, settings = choose_settings(pipe, concepts, settings, overrides)
    if settings.layers is None:
        denoiser = get_known_denoiser(pipe)
    if settings.as_authors_code:
        check_authors_code(denoiser, settings, len(wanted))
    assert settings.sites is not None
    layers = maskable_layers(denoiser, settings.layers, settings.sites)
    kept = names_to_keep(keep, wanted, settings)
    kept = tuple(read_words(pipe, concept) for concept in kept)
    warn_of_guesses(denoiser)
    warn_of_adapters(pipe)
    warn_of_guidance(denoiser, settings)
    refuse_if_pruned(denoiser, "and neurons must be found on the original weights")
    prompts = [own for _, own in pair_prompts([read_words(pipe, concept) for concept in wanted], settings)]
    pairs = list(zip(wanted, prompts, strict=True))
    warn_of_long_prompts(pipe, pairs)
    groups = group_by_base_prompts(pairs, settings.concepts_at_once)
    memory = plan_memory(layers, max(map(len, groups)), pipe._execution_device)
    words = () if settings.is_zero else tuple(usable_words(pipe, settings.retained_words))
    return FindingPlan(pipe, denoiser, settings, layers, pairs, groups, memory, kept, words, call)


def names_to_keep(
    keep: str | Concept | Iterable[str | Concept], concepts: Iterable[Concept], settings: Settings
) -> tuple[Concept, ...]:
    """Returns what the user names to be kept, each once.

    Raises:
        ValueError: if one of the names is to be forgotten, or the neurons become zero, which keeps nothing by name.
    """
    names = list(dict.fromkeys(listed(keep)))
    kept = {word: Concept(word, own.kind) for own in (as_concepts(names) if names else []) for word in own.words}
    if kept and settings.is_zero:
        raise UsageError(
            f"keep={list(kept)} has no effect with zeros, which know nothing of what to keep. Leave it out, or take "
            'edit="rewrite" (--edit rewrite).'
        )
    forgotten = {comparable(word) for concept in concepts for word in concept.words}
    for name in kept:
        if comparable(name) in forgotten:
            raise UsageError(f"{name!r} cannot be forgotten and kept at once; name it once.")
    return tuple(kept.values())


def choose_settings(
    pipe: DiffusionPipeline,
    concepts: str | Concept | Iterable[str | Concept],
    settings: Settings | None,
    overrides: Mapping[str, Any],
) -> tuple[list[Concept], Settings]:
    """Returns the concepts, and the settings to find them with, which include an alpha.

    If `settings` is None, takes the settings recommended for the model, or else the paper's. In "paper" mode it takes
    the paper's, and in "authors-code" mode the authors'. A concept gets its recommended r2, unless `overrides` has a
    `spatial_ratio`.

    Raises:
        TypeError: if a setting does not exist, or `settings` are none.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise ArgumentError(
            f"settings={settings!r} is a {type(settings).__name__}; give fia.Settings(...), or single settings by "
            "name, such as spatial_ratio=0.03."
        )
    for name in overrides:
        if name in call_parameters(pipe) and name not in vars(Settings()):
            raise ArgumentError(
                f"{name!r} is no setting, but an argument of {type(pipe).__name__}. Give "
                f"call={{{name!r}: {overrides[name]!r}}}."
            )
    check_names(overrides)
    mode = overrides.get("mode", "default" if settings is None else settings.mode)
    wanted = as_concepts(concepts, mode)
    if settings is None and mode == "default":
        zero = overrides.get("edit") == "zero"
        settings, with_own_ratios = recommend(embedded_name(pipe), wanted, zero=zero)
        wanted = wanted if "spatial_ratio" in overrides else with_own_ratios
        if "sites" in overrides:
            settings = replace(settings, layers=None)  # layers would replace the sites that are asked for
    settings = replace(settings or Settings(), **overrides)
    if settings.as_authors_code and settings.spatial_ratio is None:
        wanted = with_authors_ratios(wanted)
    return wanted, settings.resolved(paper_agnostic_ratio(wanted))


def pair_prompts(concepts: Iterable[Concept], settings: Settings) -> ConceptPairs:
    """Returns each concept with its prompt pairs."""
    settings = settings.resolved(0.0)  # alpha plays no part
    names = ("prompts_per_concept", "seeds_per_prompt", "seed", "as_authors_code")
    numbers = {name: getattr(settings, name) for name in names}
    return [(concept, prompt_pairs(concept, **numbers)) for concept in concepts]


def group_by_base_prompts(pairs: ConceptPairs, at_most: int) -> list[ConceptPairs]:
    """Returns groups of at most `at_most` concepts with the same base prompts and seeds, which run together."""
    together: dict[tuple[tuple[str, int], ...], ConceptPairs] = defaultdict(list)
    for concept, own in pairs:
        together[tuple((pair.base_prompt, pair.seed) for pair in own)].append((concept, own))
    return [group[i : i + at_most] for group in together.values() for i in range(0, len(group), at_most)]


def prompts_of(group: ConceptPairs) -> int:
    """Returns the number of prompts of a group: the base prompts and the prompts of each concept."""
    return len(group[0][1]) * (1 + len(group))
