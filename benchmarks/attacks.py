"""Attacks four edits of the embedded model and the untouched one, with small budgets, for docs/attacks.md.

    python benchmarks/attacks.py runs/attacks

The edits forget the first five objects: rewritten neurons, zeros, UCE, and random neurons rewritten in the same way. It
continues if it is interrupted. After each attack it writes docs/attacks.json, of which scripts/update_readme.py makes
the table.
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
from fia.attacks.quantise import Quantise
from fia.attacks.records import AttackScores
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
    completion=Completion(steps=(2, 4)),
    image_prompt=ImagePrompt(strengths=(0.5, 0.9), pictures=8),
    other_words=OtherWords(words=3),
    quantise=Quantise(bits=(4,)),
    merge=Merge(weights=(0.5,)),
    ring_a_bell=RingABell(population=40, generations=40, prompts=3),
    mma=MMA(candidates=64, batch=64, steps=30),
    unlearn_diff_atk=UnlearnDiffAtk(timesteps=2, iterations=10),
    inversion=Inversion(steps=30, batch_size=2, pictures=6),
    roots=Roots(rounds=100),
    relearn_lora=RelearnLora(steps=(15,), pictures=6, learning_rate=1e-3, batch_size=2),
)
CHOSEN = (  # in this order, because an interrupted run has the first of them
    *("completion", "merge", "inversion", "quantise", "roots", "relearn-lora", "other-words", "unlearn-diff-atk"),
    *("ring-a-bell", "image-prompt", "noise", "mma"),
)
EXTENT = Extent(images_per_concept=3)
DRAWING = Drawing(num_inference_steps=8, guidance_scale=GUIDANCE_SCALE)
DOCS = Path(__file__).parent.parent / "docs"


def main(out: Path) -> None:
    pipe = load_testbed()
    task, model = objects_task(OBJECTS), hash_pipeline(pipe)
    store = EditStore(out / "edits", pipe, task, methods_for(task), model)
    detectors = detectors_for(task.concepts, is_embedded=True, sources=Sources(), device=pipe.device)
    run = AttackRun(out, pipe, {"name": "testbed", "hash": model}, DRAWING, task.concepts, detectors, EXTENT)
    states = {label: State(store.make(name).edit, {"edit": name}) for name, label in LABELS.items()}
    done: list[AttackScores] = []
    for name in CHOSEN:
        done += run.run(states, BUDGETS.chosen([name]))
        result = {
            "concepts": [concept.name for concept in task.concepts],
            "extent": asdict(EXTENT),
            "drawing": asdict(DRAWING),
            "environment": environment(pipe.device),
            "attacks": done,
        }
        write_json(DOCS / "attacks.json", result)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/attacks"))
