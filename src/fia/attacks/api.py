"""`fia.attack`: attacks an edit of a pipeline, beside its controls, and writes the report."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from diffusers import DiffusionPipeline

from ..concepts import Concept
from ..drawing.images import Drawing
from ..edits.interface import Edit
from ..errors import UsageError
from ..evaluation.build import Sources
from ..evaluation.forgotten import forgotten_concepts
from ..evaluation.questions import Judge
from ..evaluation.run import MASKED
from ..files import write_json
from ..masks.mask import NeuronMask
from ..models.pipelines import embedded_name, identity_of
from ..processes import processes
from ..provenance import environment
from ..recommended import GUIDANCE_SCALES
from ..testbed.judge import check_judged
from .choice import Attacks
from .detector import Detector, check_kind, detectors_for
from .identity import identify
from .interface import Attack
from .records import AttackResult
from .report import write_report
from .run import AttackRun, Extent, State
from .victim import check_attackable, random_edit

EDITED, NEVER_KNEW = "edited", "never knew"  # names of states


def attack(
    pipe: DiffusionPipeline,
    edit: Edit,
    concepts: str | Concept | Iterable[str | Concept] = (),
    attacks: str | Sequence[str | Attack] = "free",
    *,
    out: str | Path = "runs/attack",
    budgets: Attacks | None = None,
    extent: Extent | None = None,
    drawing: Drawing | None = None,
    judge: Judge | None = None,
    sources: Sources | None = None,
    control: bool = True,
    never_knew: Edit | None = None,
) -> AttackResult:
    """Attacks an edit, and returns how often its concepts come back.

    Every attack also runs on the untouched model and, unless `control` is off, on a random edit of equal size. It
    writes `attack.json`, `attack.html` and all images. Called again with the same folder, it continues.

    Args:
        pipe: Stable Diffusion 1.x or 2.x, or the embedded U-Net, without the edit. It stays as it is.
        edit: a mask, or any other edit of the weights, such as what `fia.edits.edited.load_edited` reads.
        concepts: what should be gone. A mask knows its own.
        attacks: groups ("free", "text", "white", "weights", "all"), names such as "inversion", or attacks.
        out: the folder for the results.
        budgets: the budgets of the attacks that are given by name.
        extent: how many images to draw.
        drawing: how to draw. If it has no guidance scale, it is the one recommended for the model.
        judge: a judge that answers with the names of the concepts. The embedded model has its own.
        sources: the judges of any other model: a classifier for objects, and CLIP for styles.
        control: whether to attack a random edit of equal size as well.
        never_knew: a model that never knew the concepts, as an edit of `pipe` (`fia testbed train --without`).

    Raises:
        TypeError: if attacks do not know such a pipeline, or it is not in float32 and an attack needs gradients.
        ValueError: if an edit does not fit or changes no weight, a judge does not know a concept or sees it in fewer
            than half of the untouched model's images, a budget is out of range, or `out` holds other results.
    """
    check_attackable(pipe)
    names = [attacks] if isinstance(attacks, str) else [name for name in attacks if isinstance(name, str)]
    chosen = (budgets or Attacks()).chosen(names) if names else []
    chosen += [own for own in attacks if isinstance(own, Attack)]
    if not chosen:
        raise UsageError("No attack was given; name some, such as attacks=['free'].")
    wanted = forgotten_concepts(edit, concepts, flag="--concepts")
    detectors = judges_of(pipe, wanted, sources or Sources(), judge)
    drawing = drawing or Drawing()
    if drawing.guidance_scale is None:
        drawing = replace(drawing, guidance_scale=GUIDANCE_SCALES.get(embedded_name(pipe)))
    model, name = identity_of(pipe), identify(edit)
    run = AttackRun(Path(out), pipe, model, drawing, wanted, detectors, extent or Extent())
    edit.check(pipe)
    states = {MASKED if isinstance(edit, NeuronMask) else EDITED: State(edit, name)}
    if control:
        states["random edit"] = State(random_edit(pipe, edit), {"control": "random edit", **name})
    if never_knew is not None:
        states[NEVER_KNEW] = State(never_knew, identify(never_knew))
    scores = run.run(states, chosen)
    result: AttackResult = {
        "model": model,
        "edit": name,
        "concepts": [{"name": concept.name, "kind": concept.kind} for concept in wanted],
        "judges": {own: detector.identity for own, detector in detectors.items()},
        "images_per_concept": run.extent.images_per_concept,
        "seed": run.extent.seed,
        "drawing": asdict(drawing),
        "environment": environment(pipe.device),
        "attacks": scores,
    }
    if processes().is_main_process:
        write_json(run.out / "attack.json", result)
        write_report(run, result, chosen)
    return result


def judges_of(
    pipe: DiffusionPipeline, concepts: Sequence[Concept], sources: Sources, judge: Judge | None = None
) -> dict[str, Detector]:
    """Returns what sees each concept, by name; see `attack`.

    Raises:
        ValueError: if a judge does not know a concept.
    """
    is_embedded = bool(embedded_name(pipe))
    if judge is None:
        check_judged(pipe)
    detectors = detectors_for(concepts, is_embedded=is_embedded, sources=sources, device=pipe.device, judge=judge)
    for concept in concepts if is_embedded else ():
        check_kind(concept)
    return detectors
