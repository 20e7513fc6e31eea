"""What finding costs, compared with the bare denoising and with the plain way, and for more and more concepts.

    python benchmarks/engine.py runs/engine            # on the CPU, about half an hour on two cores
    python benchmarks/engine.py runs/engine cuda       # on a GPU; the models then generate at their full size

Finding and the bare denoising have the same prompts, seeds, steps and batches, and take turns in one process. The plain
way has the same prompts and seeds. Each memory number is measured in its own process. The models of Stable Diffusion's
sizes have random weights. Every part is saved, so that an interrupted run continues. It writes docs/engine.json;
`scripts/update_engine.py` makes the tables of docs/engine.md from it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from masks import pipeline, random_concepts, random_rewriting, sd15_unet
from models import Model
from sequential import find_sequentially

import fia
from fia import Concept, Policy, Settings
from fia.bench.cost import CostMeter
from fia.drawing.images import generate_images
from fia.files import written_whole
from fia.finding.collect import run_group
from fia.finding.observe import Observer
from fia.finding.plan import FindingPlan, plan_finding
from fia.finding.progress import Progress
from fia.finding.run import find_planned
from fia.finding.saliency import connection_saliency
from fia.masks.file import NEURONS
from fia.provenance import environment
from fia.testbed.world import OBJECT_NAMES

DOCS = Path(__file__).parent.parent / "docs"


def names(number: int) -> list[str]:
    """Returns `number` concepts. Those that the embedded model knows come first."""
    return [*OBJECT_NAMES, *(f"thing {i}" for i in range(number))][:number]


def denoise(plan: FindingPlan) -> None:
    """Runs the same steps and batches as finding does, but observes nothing."""
    nobody = Observer({}, connection_saliency, lambda *_: None)
    with Progress(len(plan.groups) * plan.steps_of_group, shown=False) as steps:
        for group in plan.groups:
            run_group(plan, group, nobody, plan.settings.batch_size, steps)


def timed(pipe: Any, work: Callable[[], Any]) -> float:
    """Returns the seconds that some work takes."""
    if pipe.device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if pipe.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def in_turns(pipe: Any, one: Callable[[], Any], other: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Times two functions in turns. The first of several turns does not count. The ratio is the median of all turns."""
    turns = [(timed(pipe, one), timed(pipe, other)) for _ in range(repeats)]
    turns = turns[1:] or turns
    ratios = sorted(b / a for a, b in turns)
    seconds = [statistics.median(times) for times in zip(*turns, strict=True)]
    return {"seconds": seconds, "ratio": statistics.median(ratios), "ratios": ratios}


def overhead(model: Model, concepts: int, settings: Settings, repeats: int) -> dict[str, Any]:
    """Measures finding against the bare denoising.

    The concepts are styles, because objects are looked up first: whether the model knows them. That takes nine rows a
    concept and 27 more however long finding is, which would count too much beside the few rows that run here.
    """
    pipe = model.load()
    wanted = [Concept(name, "style") for name in names(concepts)]
    plan = plan_finding(pipe, wanted, settings)
    if repeats == 1:  # a whole turn would take too long to warm up, so one step does it
        find_planned(plan_finding(pipe, wanted, replace(settings, saliency_steps=1)), progress=False)
    measured = in_turns(pipe, lambda: denoise(plan), lambda: find_planned(plan, progress=False), repeats)
    what = {"concepts": concepts, "prompts": settings.prompts_per_concept, "steps": settings.saliency_steps}
    return measured | what | {"model": str(model), "edit": plan.settings.edit, "rows": plan.rows, "calls": plan.calls}


def against_sequential(model: Model, concepts: int, settings: Settings) -> dict[str, Any]:
    """Measures finding against the plain way, and the share of neurons that both find."""
    pipe = model.load()
    plan = plan_finding(pipe, names(concepts), settings)
    find_planned(plan, progress=False)  # warms up
    masks, plain = [], []
    ours = timed(pipe, lambda: masks.append(find_planned(plan, progress=False)))
    wanted = [concept for concept, _ in plan.pairs]
    theirs = timed(pipe, lambda: plain.append(find_sequentially(pipe, wanted, plan.settings)))
    found = [(masks[0].neurons[c][n].tolist(), plain[0][c][n].tolist()) for c in masks[0].concepts for n in plan.layers]
    same, either = (sum(len(f(set(a), set(b))) for a, b in found) for f in (set.intersection, set.union))
    return {"model": str(model), "seconds": [ours, theirs], "ratio": theirs / ours, "shared": same / either}


def memory(model: Model, concepts: int, settings: Settings, what: str) -> dict[str, Any]:
    """Measures the peak memory of finding, or of the bare denoising, beyond that of the model."""
    pipe = model.load()
    plan = plan_finding(pipe, names(concepts), settings)
    with CostMeter(pipe.device) as cost:
        if what == "find":
            find_planned(plan, progress=False)
        else:
            denoise(plan)
    connections = sum(layer.size for layer in plan.layers.values())
    return {"bytes": cost.memory_bytes, "copies": cost.memory_bytes / 4 / connections, "seconds": cost.seconds}


def masks(model: Model) -> dict[str, Any]:
    """Times fusing, applying and removing at SD 1.5's size, and generating with a mask on the embedded model."""
    unet = sd15_unet().to(model.device)
    pipe = pipeline(unet)
    mask = random_concepts(unet, 0.01)
    fifty, ten = mask.only(*mask.concepts[:50]), mask.only(*mask.concepts[:10])
    fusing = timed(pipe, lambda: fifty.pruned)
    timed(pipe, lambda: ten.pruned)
    applying, removing = timed(pipe, lambda: ten.apply(pipe)), timed(pipe, lambda: ten.remove(pipe))
    small = fia.load_testbed().to(model.device)
    found = fia.find(small, names(5), progress=False)
    prompts, seeds = ["a cat on a lawn"] * 16, list(range(16))

    def draw() -> None:
        generate_images(small, prompts, seeds, num_inference_steps=25, progress=False)

    def draw_masked() -> None:
        with found.applied(small):
            draw()

    drawing = in_turns(small, draw, draw_masked, 7)
    return {"fusing": fusing, "applying": applying, "removing": removing, "drawing": drawing, "device": model.device}


def rewriting(device: str, concepts: int) -> dict[str, Any]:
    """Times solving, and switching what is solved, at SD 1.5's size; and measures the file."""
    unet = sd15_unet().to(device)
    pipe = pipeline(unet)
    mask = random_rewriting(unet, concepts)
    unlike = random_rewriting(unet, 1)
    timed(pipe, lambda: unlike.added)  # warms up
    solving = timed(pipe, lambda: mask.added)
    policy = Policy(pipe, {"all": mask})

    def switch() -> None:
        with policy("all"):
            pass

    switch()
    with TemporaryDirectory() as folder:
        mask.save_pretrained(folder)
        size = (Path(folder) / NEURONS).stat().st_size
    free = sum(map(len, mask.pruned.values())) / sum(o * i for o, i in mask.shapes.values())
    return {"solving": solving, "switching": timed(pipe, switch), "bytes": size, "free": free, "device": device}


def parts(device: str) -> dict[str, tuple[Any, ...]]:
    """Returns the measurements: a function and its arguments, by name."""
    is_cpu = device == "cpu"
    dtype, batch = ("float32", 16) if is_cpu else ("bfloat16", 16)
    testbed = Model("testbed", device=device)
    sd15 = Model("SD 1.5", 64, dtype, device)
    sdxl = Model("SDXL", 64 if is_cpu else 128, "bfloat16", device)
    usual = Settings(edit="zero", batch_size=batch, agnostic_ratio=0.8)
    # On two cores, a row of Stable Diffusion takes seconds, and all steps are alike, so we run few. The work that is
    # done once for a concept (allocating its sums, and the selection) usually spreads over ten steps, here over fewer.
    several = replace(usual, prompts_per_concept=2, saliency_steps=3) if is_cpu else usual
    single = replace(usual, prompts_per_concept=1, saliency_steps=1) if is_cpu else usual
    # The words that every mask of a model retains are collected once, so they do not count.
    new_values: Any = {"edit": "rewrite", "agnostic_ratio": 1.01, "retained_words": 0}
    result: dict[str, tuple[Any, ...]] = {
        "overhead testbed": (overhead, testbed, 5, replace(usual, prompts_per_concept=8), 6),
        "overhead SD 1.5": (overhead, sd15, 1 if is_cpu else 5, single, 2 if is_cpu else 6),
        "overhead rewriting testbed": (overhead, testbed, 5, replace(usual, prompts_per_concept=8, **new_values), 6),
        "overhead rewriting SD 1.5": (
            *(overhead, sd15, 1 if is_cpu else 5),
            *(replace(single, **new_values), 2 if is_cpu else 6),
        ),
        "rewriting 10": (rewriting, device, 10),
        "rewriting 50": (rewriting, device, 50),
        "sequential testbed": (against_sequential, testbed, 10, usual),
        "masks": (masks, testbed),
    }
    if not is_cpu:
        result["sequential SD 1.5"] = (against_sequential, sd15, 2, usual)
    little = Model("SD 1.5", 16, dtype, device)  # the sums depend on the weights, not on the size of the picture
    brief = replace(usual, prompts_per_concept=1, saliency_steps=1)
    for concepts, prompts, steps in ((1, 1, 1), (5, 1, 1), (10, 1, 1), (30, 1, 1), (5, 3, 1), (5, 1, 3)):
        settings = replace(brief, prompts_per_concept=prompts, saliency_steps=steps)
        for what in ("denoise", "find"):
            result[f"memory {concepts} {prompts} {steps} {what}"] = (memory, little, concepts, settings, what)
    for concepts in (1, 10, 30):
        result[f"scaling {concepts}"] = (memory, testbed, concepts, usual, "find")
    for name, settings in (("", several), ("rewriting ", replace(several, **new_values))):
        result[f"overhead {name}SDXL"] = (overhead, sdxl, 1 if is_cpu else 2, settings, 1 if is_cpu else 4)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to save each measurement")
    parser.add_argument("device", nargs="?", default="cpu", choices=("cpu", "cuda"))
    folder, device = (options := parser.parse_args()).folder, options.device
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name, (measure, *arguments) in parts(device).items():
        file = folder / f"{name.replace(' ', '-')}-{device}.json"
        if not file.exists():
            # a new process for each, so that none uses memory or caches of another
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                measured = process.submit(measure, *arguments).result()
            with written_whole(file) as partial:
                partial.write_text(json.dumps(measured), encoding="utf-8")
        results[name] = json.loads(file.read_text(encoding="utf-8"))
        print(name, json.dumps(results[name]), flush=True)
        content = {
            "environment": environment(torch.device(device)),
            "threads": torch.get_num_threads(),
            "results": results,
        }
        with written_whole(DOCS / ("engine.json" if device == "cpu" else f"engine-{device}.json")) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
