"""The recommended settings for a model and the concepts to forget.

We chose them by measurement (docs/recommended.md). Only this module holds them: the README, the tutorial, the local
page and the demonstration give no settings and so use these. Any other model gets the defaults of `Settings`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .concepts import Concept
from .prompts import TEMPLATES
from .settings import UNION, Settings

FOUND_WITH = Settings(prompts_per_concept=30, guidance_scale=1.0)
ZEROED = replace(FOUND_WITH, edit="zero")


@dataclass(frozen=True)
class Case:
    """Settings for some sets of concepts.

    Attributes:
        name: name of the case, for people.
        fits: says whether the case covers a set of concepts.
        settings: the recommended settings.
        spatial_ratios: r2 of the concepts that need their own.
    """

    name: str
    fits: Callable[[Sequence[Concept]], bool]
    settings: Settings
    spatial_ratios: Mapping[str, float] = field(default_factory=dict)


def _all_of(kind: str) -> Callable[[Sequence[Concept]], bool]:
    return lambda concepts: all(concept.kind == kind for concept in concepts)


def _anything(settings: Settings) -> tuple[Case, ...]:
    return (Case("anything", lambda _: True, settings),)


# With joint attention, the text comes in by both streams and by the pooled text (docs/transformer.md).
WAYS_OF_TEXT = ",".join(
    ("*.ff.net.2", "*.attn.to_out.0", "*.ff_context.net.2", "*.attn.to_add_out", "*.text_embedder.linear_2")
)
ZEROED_TRANSFORMERS = _anything(replace(ZEROED, spatial_ratio=0.1, agnostic_ratio=UNION))

# The first case that fits counts. To rewrite, one setting of a model serves every set of concepts.
REWRITTEN: dict[str, tuple[Case, ...]] = {
    "testbed": _anything(FOUND_WITH),
    "testbed-dit": _anything(replace(FOUND_WITH, retain_weight=0.3)),
    "testbed-mmdit": _anything(replace(FOUND_WITH, retain_weight=4.0, layers=WAYS_OF_TEXT)),
}
ZEROED_CASES: dict[str, tuple[Case, ...]] = {
    "testbed": (
        Case(
            "styles",
            _all_of("style"),
            replace(ZEROED, spatial_ratio=0.2, agnostic_ratio=UNION),
        ),
        Case(
            "smoking",
            _all_of("explicit"),
            replace(ZEROED, spatial_ratio=0.15, agnostic_ratio=0.8, prompts_per_concept=4, seeds_per_prompt=8),
        ),
        Case(
            "one object",
            lambda concepts: len(concepts) == 1,
            replace(ZEROED, spatial_ratio=0.05, agnostic_ratio=UNION),
            {"church": 0.15},
        ),
        Case(
            "two objects",
            lambda concepts: len(concepts) == 2,
            replace(ZEROED, spatial_ratio=0.04, agnostic_ratio=UNION),
            {"church": 0.1},
        ),
        Case(
            "more objects, or several kinds",
            lambda _: True,
            replace(ZEROED, spatial_ratio=0.025, agnostic_ratio=0.8),
            {"church": 0.1, "parachute": 0.04},
        ),
    ),
    "testbed-dit": ZEROED_TRANSFORMERS,
    "testbed-mmdit": ZEROED_TRANSFORMERS,
}

GUIDANCE_SCALES = {"testbed": 4.0, "testbed-dit": 4.0, "testbed-mmdit": 4.0}
"""The guidance at which a model's judge recognises most. At 7.5, the embedded model's images are cruder."""


def recommend(model: str, concepts: Sequence[Concept], *, zero: bool = False) -> tuple[Settings, list[Concept]]:
    """Returns the recommended settings for a model, and the concepts, some of them with their own r2.

    Args:
        model: name of the model.
        concepts: the concepts to forget together. If a concept already has an r2, it keeps it.
        zero: whether the neurons become zero.
    """
    cases = ZEROED_CASES.get(model, ()) if zero else REWRITTEN.get(model, ())
    case = next((case for case in cases if case.fits(concepts)), None)
    if case is None:
        return Settings(edit="zero" if zero else None), list(concepts)
    settings, own = case.settings, case.spatial_ratios
    most = min((len(TEMPLATES[concept.kind][2]) for concept in concepts if not concept.prompts), default=None)
    if most is not None and settings.prompts_per_concept is not None and most < settings.prompts_per_concept:
        settings = replace(settings, prompts_per_concept=most)
    return settings, [
        replace(concept, spatial_ratio=own[concept.name])
        if concept.name in own and concept.spatial_ratio is None
        else concept
        for concept in concepts
    ]
