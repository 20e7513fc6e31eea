"""What the new values of rewritten neurons depend on: places, r2, weights, ranks, prompts, and what is retained.

Every row forgets the same five objects of the embedded model, and generates the prompts and seeds that choose settings.
Formulas (9) to (14) are those of the package, except for what a row names. It writes docs/ablations-rewriting.md and
.json after each section. If you start it again with the same folder, it continues.

    python benchmarks/ablations_rewriting.py runs/ablations-rewriting
    python benchmarks/ablations_rewriting.py runs/ablations-rewriting Places r2    # these sections; the others stay
    python benchmarks/ablations_rewriting.py                                       # writes the page from the JSON file
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ablations import FIVE
from candidates import DRAWING, FINDING, WORLD
from diffusers import DiffusionPipeline
from tune_methods import DOCS

from fia import Concept, NeuronMask, Settings, find
from fia.bench import Bench
from fia.bench.report import LEGEND, table
from fia.edits.weight_edit import WeightEdit
from fia.evaluation.records import Scores
from fia.files import write_json, written_whole
from fia.masks.random_control import random_mask
from fia.methods import FIA, Method
from fia.models.layers import maskable_layers
from fia.models.pipelines import get_denoiser
from fia.recommended import FOUND_WITH
from fia.settings import UNION

FILE = DOCS / "ablations-rewriting.json"
USUAL = replace(FOUND_WITH, seed=FINDING.seed).resolved(UNION)


@dataclass(frozen=True)
class Untold:
    """FIA that is not told what to keep."""

    settings: Settings
    paper: ClassVar[str] = FIA.paper

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask."""
        return find(pipe, concepts, self.settings)


@dataclass(frozen=True)
class Summed:
    """FIA with a solution for each concept alone. Their sum is added to the weights."""

    settings: Settings
    paper: ClassVar[str] = FIA.paper

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> WeightEdit:
        """Returns the changed weights."""
        mask = find(pipe, concepts, self.settings, keep=keep)
        layers = maskable_layers(get_denoiser(pipe), sites=self.settings.sites or "both")
        weights = {name: layer.weight.clone() for name, layer in layers.items()}
        for concept in mask.concepts:
            alone = mask.only(concept)
            for name, added in (alone.added or {}).items():
                weights[name].view(-1)[alone.pruned[name]] += added
        return WeightEdit({f"{name}.weight": weight for name, weight in weights.items()})


@dataclass(frozen=True)
class Random:
    """As many random connections as FIA finds, solved alike."""

    settings: Settings
    paper: ClassVar[str] = FIA.paper

    def unlearn(self, pipe: DiffusionPipeline, concepts: Sequence[Concept], keep: Sequence[str]) -> NeuronMask:
        """Returns the mask."""
        return random_mask(find(pipe, concepts, self.settings, keep=keep))


def usual(**changes: object) -> FIA:
    """Returns FIA with the recommended settings but for some."""
    return FIA(replace(USUAL, **changes))  # type: ignore[arg-type]


def sections() -> dict[str, dict[str, Method]]:
    """Returns the variants by heading."""
    zeros = replace(USUAL, edit="zero")
    return {
        "Values": {
            "rewritten": FIA(USUAL),
            "zeros in the same neurons": FIA(zeros),
            "every connection rewritten": usual(spatial_ratio=1.0),
            "each concept solved alone, summed": Summed(USUAL),
        },
        "As many random connections": {
            f"r2 = {r2:.1%}": Random(replace(USUAL, spatial_ratio=r2)) for r2 in (0.01, 0.02, 0.03, 0.05)
        },
        "Places": {places: usual(sites=places) for places in ("both", "feed-forward", "cross-attention")},
        "r2": {f"r2 = {r2:.1%}": usual(spatial_ratio=r2) for r2 in (0.01, 0.02, 0.03, 0.05, 0.1)},
        "Weight of what is retained": {f"mu = {mu:g}": usual(retain_weight=mu) for mu in (0.5, 1.0, 1.5, 3.0, 6.0)},
        "Weight of the old values": {f"lambda = {ridge:g}": usual(ridge=ridge) for ridge in (0.001, 0.01, 0.1)},
        "What is retained": {
            "words and names": FIA(USUAL),
            "words": Untold(USUAL),
            "names": usual(retained_words=0),
            "base prompts": Untold(replace(USUAL, retained_words=0)),
        },
        "Rank of a concept's inputs": {f"rank {rank}": usual(moment_rank=rank) for rank in (4, 16, 48)},
        "Rank of what is missing": {f"rank {rank}": usual(response_rank=rank) for rank in (1, 4, 16)},
        "Prompts of one seed": {f"{n} prompts": usual(prompts_per_concept=n) for n in (5, 15, 30)},
        "First steps T of 50": {f"T = {t}": usual(saliency_steps=t) for t in (1, 5, 10, 20)},
        "Guidance while finding": {
            f"{scale:g}" if scale > 1 else "none": usual(guidance_scale=scale) for scale in (1.0, 7.5)
        },
    }


def measure(bench: Bench, variants: Mapping[str, Method]) -> dict[str, Scores]:
    """Returns the scores of a section's variants. What occurs in several sections is measured once."""
    first = {
        method: f"{heading}: {name}" for heading, own in reversed(sections().items()) for name, method in own.items()
    }
    results, _ = bench.run([FIVE], lambda _: {first[method]: method for method in variants.values()})
    return {name: results[FIVE.name][first[method]] for name, method in variants.items()}


def write_page() -> None:
    """Writes docs/ablations-rewriting.md from the JSON file: the sections of which it has every row."""
    done = known()
    variants = {
        heading: own
        for heading, own in sections().items()
        if heading in done and own.keys() <= done[heading]["rows"].keys()
    }
    of_half = [heading for heading in variants if done[heading]["drawing"]["autocast"]]
    precision = "in bfloat16" if len(of_half) == len(variants) else "in float32"
    if 0 < len(of_half) < len(variants):
        precision += f", but in bfloat16 under the headings {', '.join(of_half)}"
    parts = [
        "# Ablations of the new values",
        "`benchmarks/ablations_rewriting.py` writes this page. It forgets five objects of the embedded model with the "
        "recommended settings, but for what a row names, and is told to keep five others. Images are generated with "
        f'the prompt "{WORLD.template}", {precision}. One image of the five objects is 2.5 %. '
        "[ablations-rewriting.json](ablations-rewriting.json) has every class, "
        "and [method.md](method.md) the formulas.",
        *(
            f"## {heading}\n\n{table({name: done[heading]['rows'][name] for name in own}, {})}"
            for heading, own in variants.items()
        ),
        LEGEND,
    ]
    with written_whole(DOCS / "ablations-rewriting.md") as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def known() -> dict[str, Any]:
    """Returns what the JSON file has, by heading: how images were generated, and the scores of every row."""
    return json.loads(FILE.read_text(encoding="utf-8"))["sections"] if FILE.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where to measure; without it, only the page is written")
    parser.add_argument("headings", nargs="*", metavar="HEADING", help="sections to measure (default: all)")
    options = parser.parse_args()
    if unknown := set(options.headings) - set(sections()):
        parser.error(f"there is no section {sorted(unknown)[0]!r}; there are {', '.join(sections())}")
    if options.folder:
        bench = Bench(options.folder, WORLD, DRAWING)
        for heading in options.headings or sections():
            made_with = {
                "task": asdict(FIVE),
                "world": asdict(WORLD),
                "settings": asdict(USUAL),
                "drawing": asdict(DRAWING),
            }
            measured = made_with | {"rows": measure(bench, sections()[heading])}
            write_json(FILE, {"sections": known() | {heading: measured}})
            write_page()
    write_page()


if __name__ == "__main__":
    main()
