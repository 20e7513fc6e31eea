"""All attacks with their budgets, and how to choose some of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import get_args

from ..errors import UsageError
from .completion import Completion
from .image_prompt import ImagePrompt
from .interface import Attack, Group
from .inversion import Inversion
from .merge import Merge
from .mma import MMA
from .noise import Noise
from .other_words import OtherWords
from .p4d import P4D
from .quantise import Quantise
from .relearning import Benign, Relearn, RelearnHeld, RelearnLora
from .ring_a_bell import RingABell
from .roots import Roots
from .unlearn_diff_atk import UnlearnDiffAtk


@dataclass(frozen=True)
class Attacks:
    """Every attack, with its budget."""

    noise: Noise = field(default_factory=Noise)
    completion: Completion = field(default_factory=Completion)
    image_prompt: ImagePrompt = field(default_factory=ImagePrompt)
    other_words: OtherWords = field(default_factory=OtherWords)
    quantise: Quantise = field(default_factory=Quantise)
    merge: Merge = field(default_factory=Merge)
    ring_a_bell: RingABell = field(default_factory=RingABell)
    mma: MMA = field(default_factory=MMA)
    unlearn_diff_atk: UnlearnDiffAtk = field(default_factory=UnlearnDiffAtk)
    p4d: P4D = field(default_factory=P4D)
    inversion: Inversion = field(default_factory=Inversion)
    roots: Roots = field(default_factory=Roots)
    relearn_lora: RelearnLora = field(default_factory=RelearnLora)
    relearn: Relearn = field(default_factory=Relearn)
    relearn_held: RelearnHeld = field(default_factory=RelearnHeld)
    benign: Benign = field(default_factory=Benign)

    def chosen(self, names: Sequence[str]) -> list[Attack]:
        """Returns the attacks of some groups and names, each once.

        Args:
            names: groups ("free", "text", "white", "weights", "all") and names of attacks, such as "ring-a-bell".

        Raises:
            ValueError: if there is no name, or no such attack.
        """
        known: dict[str, Attack] = {own.name.replace("_", "-"): getattr(self, own.name) for own in fields(self)}
        groups = {group: [name for name in known if known[name].group == group] for group in get_args(Group)}
        groups["all"] = list(known)
        if not names:
            raise UsageError(f"No attack was given; name some of: {', '.join(groups)}.")
        wanted: set[str] = set()
        for name in names:
            own = name.replace("_", "-")
            if own not in known and own not in groups:
                raise UsageError(f"There is no attack {name!r}; give one of: {', '.join([*groups, *known])}.")
            wanted |= set(groups.get(own, [own]))
        return [attack for name, attack in known.items() if name in wanted]
