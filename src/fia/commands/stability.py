"""`fia stability`."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from ..concepts import as_concepts, parse_concept
from ..finding.stability import measure_stability
from ..loading import Runtime
from ..settings import Settings
from .arguments import Model


@dataclass
class StabilityCommand:
    """Tells how many prompts a concept needs: would other prompts, seeds or base prompts find the same neurons?

    For each number n, every concept is found with n prompts, with n others from other seeds, and with the first n on
    other base prompts. What the findings share is printed, beside what chance would give.

    Example: fia stability testbed church "golf ball" --prompts 1 2 4 8
    """

    model: Model
    """testbed, a diffusers folder, a single-file checkpoint (.safetensors), or the id of a repository on the Hub."""
    concepts: Annotated[Positional[tuple[str, ...]], arg(metavar="CONCEPT...")]
    """Names, each with its kind where it is no object: church, "Van Gogh:style"."""
    prompts: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of prompts in each half."""
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> None:
        concepts = as_concepts(map(parse_concept, self.concepts), self.settings.mode)
        pipe = self.runtime.load(self.model)
        rows = measure_stability(pipe, concepts, self.prompts, self.settings)
        if self.json:
            print(json.dumps([asdict(row) for row in rows], indent=2))
            return
        print(f"\n{'prompts':>7}{'neurons shared with other prompts, %':>38}{'other bases, %':>18}{'chance, %':>12}")
        for row in rows:
            print(f"{row.prompts:>7}{row.other_prompts:>38.1f}{row.other_bases:>18.1f}{row.by_chance:>12.1f}")
