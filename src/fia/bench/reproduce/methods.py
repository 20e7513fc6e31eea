"""The methods of the paper's benchmark, with the settings that their authors published (docs/reproduce.md)."""

from collections.abc import Sequence

from diffusers import DiffusionPipeline

from ...concepts import Concept
from ...errors import UnsupportedError
from ...finding.aside import check_pipeline
from ...methods import (
    ESD,
    FIA,
    OCE,
    RECE,
    SPEED,
    UCE,
    ConceptPrune,
    DoubleProjections,
    Method,
    NegativePrompt,
    ScaPre,
)
from ...methods.negative_prompt import NegativePromptEdit
from ...methods.uce import projections
from ...models.pipelines import embedded_name, get_known_denoiser
from ...prompts import TEMPLATES
from ...recommended import recommend
from ...settings import Settings
from ..edit_store import OURS
from .protocols import ZEROS

SOURCES = {
    OURS: "the settings that fia.find takes for this model",
    ZEROS: "the paper's: docs/method.md, section 8",
    "ConceptPrune": "scripts/wanda.sh and the README of the authors' code, with all of its prompts",
    "UCE": "train-scripts/train_erase.py of the authors' code",
    "RECE": "train_object.py, train_artists.py and train.py of the authors' code; its regularisation is relative here",
    "SPEED": "the authors' code; styles become art, as in its README",
    "DP": "the paper's, as others report them",
    "OCE": "the paper's",
    "ScaPre": "the authors' code for many concepts",
    "ESD-x": "the paper's: 1,000 iterations at 1e-5, negative guidance 1, start guidance 3",
    "ESD-u": "the paper's: 1,000 iterations at 1e-5, negative guidance 1, start guidance 3",
    "negative prompt": "the names of all concepts",
}


def methods_for(pipe: DiffusionPipeline, concepts: Sequence[Concept]) -> dict[str, Method]:
    """Returns every method, with its settings for concepts of one kind."""
    kind = concepts[0].kind
    prompts = len(TEMPLATES[kind][2])
    rounds, shrinkage = 5 if kind == "object" else 10, 0.1 if kind == "explicit" else 1e-3
    return {
        OURS: FIA(recommend(embedded_name(pipe), concepts)[0]),
        ZEROS: FIA(Settings(mode="paper")),
        "ConceptPrune": ConceptPrune(0.02 if kind == "object" else 0.01, prompts_per_concept=prompts),
        "UCE": UCE(positions="tail", erase_scale=1.0, preserve_scale=0.1, ridge=0.5),
        "RECE": RECE(
            positions="tail", erase_scale=1.0, preserve_scale=0.1, ridge=0.1, rounds=rounds, shrinkage=shrinkage
        ),
        "SPEED": SPEED(guide="art" if kind == "style" else ""),
        "DP": DoubleProjections(),
        "OCE": OCE(),
        "ScaPre": ScaPre(),
        "ESD-x": ESD("x"),
        "ESD-u": ESD("u"),
        "negative prompt": NegativePrompt(),
    }


def reason_against(method: Method, pipe: DiffusionPipeline) -> str | None:
    """Returns why a method cannot edit a pipeline, or None if it can."""
    try:
        if isinstance(method, NegativePrompt):
            NegativePromptEdit("").check(pipe)
        elif isinstance(method, FIA | ConceptPrune):
            check_pipeline(pipe, get_known_denoiser(pipe))
        elif isinstance(method, ESD):
            method.check(pipe)
        else:
            projections(pipe)
    except UnsupportedError as error:
        return str(error)
    return None
