"""Runs a protocol of the paper on any model. After an interruption, it continues.

`results.json` holds all scores. It does not depend on interruptions, on the number of processes, or on the machine's
speed. `costs.json` holds the costs of the edits, and `report.html` sets the result beside the paper's table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from diffusers import DiffusionPipeline

from ...drawing.images import Drawing
from ...errors import UnsupportedError, UsageError, did_you_mean
from ...evaluation.build import Sources
from ...evaluation.records import Costs, TaskResult
from ...evaluation.run import RANDOM, UNTOUCHED, Evaluation
from ...evaluation.tasks import Task
from ...files import write_json
from ...masks.pruning import refuse_if_pruned
from ...methods import Method
from ...models.pipelines import embedded_name, get_denoiser, identity_of, model_name, without_safety_checker
from ...provenance import Identity, environment
from ...recommended import GUIDANCE_SCALES
from ..edit_store import OURS, EditStore
from .methods import methods_for, reason_against
from .protocols import PROTOCOLS, Protocol, ProtocolName
from .tasks import build_tasks


class Result(TypedDict):
    """The content of results.json.

    Attributes:
        protocol: name of the protocol.
        model: name, hash, type and scheduler of the model.
        methods: the settings of each method.
        left_out: why each of the other methods cannot edit the model.
        drawing: how the images were generated.
        seed: seed of the first image; I2P has its own.
        environment: versions, device and commit.
        tasks: the results of each evaluation task, by name.
    """

    protocol: str
    model: Identity
    methods: dict[str, dict[str, object]]
    left_out: dict[str, str]
    drawing: dict[str, object]
    seed: int
    environment: dict[str, object]
    tasks: dict[str, TaskResult]


@dataclass(frozen=True)
class Plan:
    """A run of a protocol, ready to start.

    Attributes:
        pipe: the model.
        protocol: the protocol.
        tasks: the evaluation tasks.
        methods: the methods that work on the model, with their settings.
        left_out: why each of the others does not.
        drawing: how images are generated.
        seed: seed of the first image.
    """

    pipe: DiffusionPipeline
    protocol: Protocol
    tasks: Sequence[Task]
    methods: Mapping[str, Method]
    left_out: Mapping[str, str]
    drawing: Drawing
    seed: int

    @property
    def states(self) -> list[str]:
        """The states of the model, with the controls."""
        return [UNTOUCHED, *self.methods, *([RANDOM] if OURS in self.methods else [])]


def plan_protocol(
    pipe: DiffusionPipeline,
    name: ProtocolName,
    sources: Sources,
    drawing: Drawing,
    *,
    quality: bool = True,
    methods: Sequence[str] = (),
) -> Plan:
    """Returns the plan of a run, after all of its checks.

    Args:
        pipe: the untouched model. Its safety checker is taken off.
        name: name of the protocol.
        sources: the numbers of images, and the judges.
        drawing: how to generate images.
        quality: whether to measure images of captions, too.
        methods: names of the methods to run. All by default.

    Raises:
        ValueError: if a method, a file or a judge is missing, or a mask is applied to the model.
        TypeError: if no method works on the model.
    """
    protocol = PROTOCOLS[name]
    known = methods_for(pipe, protocol.task.concepts)
    for method in methods:
        if method not in known:
            raise UsageError(
                f"There is no method {method!r}.{did_you_mean(method, known)} Give some of: {', '.join(known)}."
            )
    chosen = {own: method for own, method in known.items() if not methods or own in methods}
    reasons = {own: reason_against(method, pipe) for own, method in chosen.items()}
    left_out = {own: reason for own, reason in reasons.items() if reason is not None}
    if len(left_out) == len(chosen):
        raise UnsupportedError(f"No method works on {model_name(pipe)}. {next(iter(left_out.values()))}")
    refuse_if_pruned(get_denoiser(pipe), "and the untouched model has to be measured, too")
    without_safety_checker(pipe)
    if drawing.guidance_scale is None:
        drawing = replace(drawing, guidance_scale=GUIDANCE_SCALES.get(embedded_name(pipe)))
    works = {own: method for own, method in chosen.items() if own not in left_out}
    tasks = build_tasks(protocol, sources, pipe, quality=quality)
    return Plan(pipe, protocol, tasks, works, left_out, drawing, sources.seed)


def run_plan(plan: Plan, out: Path) -> tuple[Evaluation, Result, dict[str, Costs]]:
    """Runs what is missing; writes and returns all scores, and the costs of the edits.

    Raises:
        ValueError: if the folder holds a run with other settings, prompts, judges, model or versions.
    """
    model = identity_of(plan.pipe)
    evaluation = Evaluation(out, plan.pipe, plan.drawing, model)
    store = EditStore(out / "edits", plan.pipe, plan.protocol.task, plan.methods, str(model["hash"]))
    evaluation.announce(plan.tasks, plan.states)
    measured = {task.name: store.measure(evaluation, task, plan.states) for task in plan.tasks}
    costs = {name: state.costs for name, state in measured[plan.tasks[0].name].items()}
    result: Result = {
        "protocol": plan.protocol.task.name,
        "model": model,
        "methods": {name: asdict(method) for name, method in plan.methods.items()},
        "left_out": dict(plan.left_out),
        "drawing": asdict(plan.drawing),
        "seed": plan.seed,
        "environment": environment(plan.pipe.device),
        "tasks": {
            task.name: {
                "measured_with": task.measured_with,
                "images": len(task.questions),
                "prompts": task.digest,
                "states": {name: state.scores for name, state in measured[task.name].items()},
            }
            for task in plan.tasks
        },
    }
    write_json(out / "results.json", result)
    write_json(out / "costs.json", {"device": result["environment"]["device"], "edits": costs})
    return evaluation, result, costs
