"""`fia stability`."""

import json
from dataclasses import asdict, dataclass, field

from tyro.conf import OmitArgPrefixes

from ..concepts import as_concepts
from ..errors import UsageError
from ..finding.stability import measure_stability, verdict
from ..loading import Runtime
from ..settings import Settings
from .arguments import Concepts, Json, Model, SettingsFlags, concepts_in, given


@dataclass
class Stability:
    """Tells how many prompts a concept needs.

    For each number n, it finds every concept with n prompts, then with n others from other seeds, then with the first n
    on other base prompts. The table says how many neurons the results share, and how many they would share by chance.
    The further above chance, the less another choice of prompts changes the result.

    Examples:
      fia stability testbed church "golf ball" --prompts 1 2 4 8
    """

    model: Model
    concepts: Concepts
    prompts: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of prompts in each half."""
    settings: OmitArgPrefixes[SettingsFlags] = field(default_factory=SettingsFlags)
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    json: Json = False

    def run(self) -> None:
        options = given(self.settings)
        mode = Settings(**options).mode  # refuses values out of range before the model is loaded
        concepts = as_concepts(concepts_in(self.concepts), mode)
        if not self.prompts:
            raise UsageError("--prompts has no number; give at least one, or leave it out.")
        pipe = self.runtime.load(self.model)
        rows = measure_stability(pipe, concepts, self.prompts, **options)
        if self.json:
            print(json.dumps([asdict(row) for row in rows], indent=2))
            return
        print(f"\n{'prompts':>7}{'neurons shared with other prompts, %':>38}{'other bases, %':>18}{'chance, %':>12}")
        for row in rows:
            print(f"{row.prompts:>7}{row.other_prompts:>38.1f}{row.other_bases:>18.1f}{row.by_chance:>12.1f}")
        print(f"\n{verdict(rows)}")
