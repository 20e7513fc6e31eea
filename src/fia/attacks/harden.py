"""`fia.harden`: attacks a mask, finds it again with what the attack found, and attacks what comes out.

The idea is adversarial training without training (Zhang et al., AdvUnlearn, arXiv 2405.15234, train with it). Each
round finds only those concepts again that the attack brought back (`find_again`), and the next attack has the same
budget, prompts, seeds and pictures. It stops when an attack gains nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple, TypedDict

from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from ..concepts import Concept
from ..drawing.images import Drawing
from ..errors import ArgumentError, UsageError
from ..evaluation import summary
from ..evaluation.build import Sources
from ..evaluation.forgotten import forgotten_concepts
from ..evaluation.questions import Judge
from ..evaluation.records import EditName, Proportion
from ..files import folder_written_whole, write_json
from ..masks.mask import NeuronMask
from ..models.pipelines import embedded_name, identity_of
from ..processes import processes
from ..provenance import Identity, environment
from ..recommended import GUIDANCE_SCALES
from .api import judges_of
from .choice import Attacks
from .find_again import check_recorded, find_again
from .identity import identify
from .interface import Attack, FoundWords
from .inversion import Inversion
from .plain import Plain
from .run import AttackRun, Extent, State, joined
from .unit import LEARNED, Unit
from .victim import check_attackable


class HardenRound(TypedDict):
    """A mask, and what an attack makes of it.

    Attributes:
        mask: names and hash of the mask.
        before: images in which the judge sees a concept without an attack.
        after: the same after the attack, with the same prompts and seeds.
        by_concept: both of them by concept.
        came_back: the concepts that the attack brings back. They are found again for the next round, if there is one.
    """

    mask: EditName
    before: Proportion
    after: Proportion
    by_concept: dict[str, dict[str, Proportion]]
    came_back: list[str]


class HardenResult(TypedDict):
    """What `fia.harden` writes to harden.json.

    Attributes:
        model: name, hash, type and scheduler of the model.
        attack: its name.
        budget: the fields of the attack.
        judges: the judge of each concept.
        images_per_concept: prompts of each concept.
        seed: seed of the first of them.
        drawing: how the images were generated.
        environment: versions, device and commit.
        rounds: the mask that was given, and one that was found again for each further round.
        returned: the number of the round whose mask is returned.
    """

    model: Identity
    attack: str
    budget: dict[str, object]
    judges: dict[str, Identity]
    images_per_concept: int
    seed: int
    drawing: dict[str, object]
    environment: dict[str, object]
    rounds: list[HardenRound]
    returned: int


class Hardened(NamedTuple):
    """What `fia.harden` returns.

    Attributes:
        mask: of all rounds' masks, the one that the attack brings least back from.
        rounds: the mask that was given, and one that was found again for each further round.
    """

    mask: NeuronMask
    rounds: list[HardenRound]


def harden(
    pipe: DiffusionPipeline,
    mask: NeuronMask,
    attack: str | Attack = "inversion",
    *,
    rounds: int = 2,
    out: str | Path = "runs/harden",
    extent: Extent | None = None,
    drawing: Drawing | None = None,
    judge: Judge | None = None,
    sources: Sources | None = None,
) -> Hardened:
    """Attacks a mask, finds it again with the words that the attack found, and so on; returns the best mask.

    It attacks up to `rounds` + 1 times. It writes `harden.json`, every image and every mask. Called again with the same
    folder, it continues. A mask that withstands this attack may still fall to another, or to a larger budget; and
    whatever more it forgets may cost the rest. So measure it with `fia.attack` and `fia.evaluate`.

    Args:
        pipe: Stable Diffusion 1.x or 2.x, or the embedded U-Net, in float32, without the mask. It stays as it is.
        mask: the mask, as `fia.find` made it: its record has the prompts and settings to find with.
        attack: "inversion" or "unlearn-diff-atk", with the papers' budgets, or one of these attacks with its own.
        rounds: how often to find again, at least 1. It stops earlier if the attack gains nothing.
        out: the folder for the results.
        extent: how many images to draw for each attack.
        drawing: how to draw. If it has no guidance scale, it is the one recommended for the model.
        judge: a judge that answers with the names of the concepts. The embedded model has its own.
        sources: the judges of any other model: a classifier for objects, and CLIP for styles.

    Raises:
        TypeError: if attacks do not know such a pipeline, it is not in float32, or `mask` is no mask.
        ValueError: if `rounds` is below 1, the attack finds no words, the mask does not fit or does not say how it was
            found, a judge does not know a concept or sees it in fewer than half of the untouched model's images, or
            `out` holds other results.
    """
    if not isinstance(mask, NeuronMask):
        raise ArgumentError(f"mask is a {type(mask).__name__}; only a mask can be found again. Give a NeuronMask.")
    if rounds < 1:
        raise UsageError(f"rounds={rounds}; it must be at least 1.")
    chosen = _attack(attack)
    check_attackable(pipe)
    mask.check(pipe)
    check_recorded(mask, named=isinstance(chosen, Inversion))
    concepts = forgotten_concepts(mask, flag="--concepts")
    detectors = judges_of(pipe, concepts, sources or Sources(), judge)
    drawing = drawing or Drawing()
    if drawing.guidance_scale is None:
        drawing = replace(drawing, guidance_scale=GUIDANCE_SCALES.get(embedded_name(pipe)))
    run = AttackRun(Path(out), pipe, identity_of(pipe), drawing, concepts, detectors, extent or Extent())
    masks, measured = _rounds(run, mask, chosen, rounds)
    best = min(range(len(masks)), key=lambda i: (measured[i]["after"]["right"], measured[i]["before"]["right"]))
    result: HardenResult = {
        "model": run.model,
        "attack": chosen.title,
        "budget": asdict(chosen),  # type: ignore[call-overload]
        "judges": {own: detector.identity for own, detector in detectors.items()},
        "images_per_concept": run.extent.images_per_concept,
        "seed": run.extent.seed,
        "drawing": asdict(drawing),
        "environment": environment(pipe.device),
        "rounds": measured,
        "returned": best,
    }
    write_json(run.out / "harden.json", result)
    return Hardened(masks[best], measured)


def _attack(attack: str | Attack) -> Attack:
    """Returns the attack.

    Raises:
        ValueError: if it finds no words.
    """
    chosen = [attack] if isinstance(attack, Attack) else Attacks().chosen([attack])
    if len(chosen) > 1 or not chosen[0].finds_words:
        name = attack.title if isinstance(attack, Attack) else attack
        raise UsageError(
            f"{name!r} finds no words that a mask could be found again with; give inversion or unlearn-diff-atk."
        )
    return chosen[0]


def _rounds(
    run: AttackRun, mask: NeuronMask, attack: Attack, rounds: int
) -> tuple[list[NeuronMask], list[HardenRound]]:
    """Returns the mask of each round, and what the attack makes of it."""
    masks, measured = [mask], list[HardenRound]()
    words: dict[str, list[FoundWords]] = {}
    for number in range(rounds + 1):
        state = f"round {number}"
        run.run({state: State(masks[-1], identify(masks[-1]))}, [attack], untouched=False)
        measured.append(_measured(run, masks[-1], attack, state))
        came_back = measured[-1]["came_back"]
        if number == rounds or not came_back:
            break
        for concept in run.concepts:
            if concept.name in came_back:
                learned = run.folder(Unit(attack, "", state, concept)) / LEARNED
                words.setdefault(concept.name, []).extend(attack.found_words(load_file(learned)))
        masks.append(_found_again(run, mask, words, attack, run.out / "masks" / f"round-{number + 1}"))
    return masks, measured


def _measured(run: AttackRun, mask: NeuronMask, attack: Attack, state: str) -> HardenRound:
    def seen(attack: Attack, concepts: Sequence[Concept]) -> Proportion:
        return joined(run.result(attack, "", state, own) for own in concepts)

    by_concept = {own.name: {"before": seen(Plain(), [own]), "after": seen(attack, [own])} for own in run.concepts}
    return {
        "mask": identify(mask),
        "before": seen(Plain(), run.concepts),
        "after": seen(attack, run.concepts),
        "by_concept": by_concept,
        "came_back": [name for name, own in by_concept.items() if own["after"]["right"] > own["before"]["right"]],
    }


def _found_again(
    run: AttackRun, mask: NeuronMask, words: dict[str, list[FoundWords]], attack: Attack, folder: Path
) -> NeuronMask:
    """Returns the mask of the next round, from its folder if it was found before an interruption."""
    group = processes()
    is_found = folder.exists()
    group.wait_for_everyone()  # so that all of them have seen the same
    if is_found:
        return NeuronMask.from_pretrained(folder)
    found = find_again(run.pipe, mask, words, attack.title)
    if group.is_main_process:
        with folder_written_whole(folder) as partial:
            found.save_pretrained(partial)
    return found


def text(rounds: Sequence[HardenRound]) -> str:
    """Returns the rounds as a table for the terminal."""
    lines = [f"{'still detected, %':<20}{'before the attack':>24}{'after the attack':>24}   brought back"]
    for number, own in enumerate(rounds):
        cells = f"{summary.read(own['before']):>24}{summary.read(own['after']):>24}"
        lines.append(f"  {f'round {number}':<18}{cells}   {', '.join(own['came_back']) or 'nothing'}")
    return "\n".join(lines)
