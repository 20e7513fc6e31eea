"""Attacks four edits of the embedded model and the untouched one, with small budgets, for docs/attacks.md.

    python benchmarks/attacks.py runs/attacks

The edits forget the first five objects: rewritten neurons, zeros, UCE, and random neurons rewritten in the same way. It
continues if it is interrupted, and writes docs/attacks.json; scripts/update_docs.py makes the table of that.
"""

import sys
from dataclasses import asdict
from pathlib import Path

from fia.attacks.choice import Attacks
from fia.attacks.completion import Completion
from fia.attacks.detector import detectors_for
from fia.attacks.image_prompt import ImagePrompt
from fia.attacks.inversion import Inversion
from fia.attacks.merge import Merge
from fia.attacks.mma import MMA
from fia.attacks.noise import Noise
from fia.attacks.other_words import OtherWords
from fia.attacks.relearning import RelearnLora
from fia.attacks.ring_a_bell import RingABell
from fia.attacks.roots import Roots
from fia.attacks.run import AttackRun, Extent, State
from fia.attacks.unlearn_diff_atk import UnlearnDiffAtk
from fia.bench import methods_for
from fia.bench.edit_store import OURS, EditStore
from fia.bench.tasks import objects_task
from fia.drawing.images import Drawing
from fia.evaluation.build import Sources
from fia.evaluation.run import RANDOM
from fia.files import write_json
from fia.provenance import environment, hash_pipeline
from fia.testbed.pretrained import GUIDANCE_SCALE, load_testbed

OBJECTS = 5
LABELS = {OURS: "rewritten", "FIA": "zero", "UCE": "UCE", RANDOM: "random, rewritten"}
BUDGETS = Attacks(
    noise=Noise(tries=4),
    completion=Completion(steps=(2, 5)),
    image_prompt=ImagePrompt(strengths=(0.5, 0.9), pictures=8),
    other_words=OtherWords(words=5),
    merge=Merge(weights=(0.5,)),
    ring_a_bell=RingABell(population=40, generations=40, prompts=4),
    mma=MMA(candidates=64, batch=64, steps=40),
    unlearn_diff_atk=UnlearnDiffAtk(timesteps=2, iterations=10),
    inversion=Inversion(steps=100, batch_size=2, pictures=8),
    roots=Roots(rounds=100),
    relearn_lora=RelearnLora(steps=(20,), pictures=8, learning_rate=1e-3, batch_size=2),
)
CHOSEN = (
    *("completion", "quantise", "merge", "inversion", "roots", "unlearn-diff-atk", "relearn-lora", "noise"),
    *("other-words", "image-prompt", "ring-a-bell", "mma"),
)
EXTENT = Extent(images_per_concept=4)
DRAWING = Drawing(num_inference_steps=10, guidance_scale=GUIDANCE_SCALE)
DOCS = Path(__file__).parent.parent / "docs"


def main(out: Path) -> None:
    pipe = load_testbed()
    task, model = objects_task(OBJECTS), hash_pipeline(pipe)
    store = EditStore(out / "edits", pipe, task, methods_for(task), model)
    detectors = detectors_for(task.concepts, is_embedded=True, sources=Sources(), device=pipe.device)
    run = AttackRun(out, pipe, {"name": "testbed", "hash": model}, DRAWING, task.concepts, detectors, EXTENT)
    states = {label: State(store.make(name).edit, {"edit": name}) for name, label in LABELS.items()}
    result = {
        "concepts": [concept.name for concept in task.concepts],
        "extent": asdict(EXTENT),
        "drawing": asdict(DRAWING),
        "environment": environment(pipe.device),
        "attacks": run.run(states, BUDGETS.chosen(CHOSEN)),
    }
    write_json(DOCS / "attacks.json", result)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/attacks"))
